"""What `jointfit check` finds out about the links with the other members."""

from __future__ import annotations

from collections.abc import Iterator

from mpc.jobs.checking import Finding, good, versions
from mpc.jobs.listening import doors, reached
from parties import ConfigurationError
from parties.credentials import Credentials
from parties.job import Job
from parties.probe import Link, probe
from parties.topology import routes

_CLOCK = 5.0
_MUST_AGREE = ("jointfit", "torch")


def linked(job: Job, name: str, own: Credentials, listen: str | None, within: float) -> Iterator[Finding]:
    """Measure the links of one member with all others that run `jointfit check` now."""
    rank = job.rank(name)
    hello = {"job": job.digest.hex(), "member": name, **versions()}
    try:
        open_doors = doors(job, name, listen)
    except ConfigurationError as error:
        yield Finding("FAILED", str(error), "--listen HOST:PORT, or end what has the port", 2)
        return
    yield good(f"{name} is {reached(job, name, listen)}")
    for link in probe(rank, routes(job, rank), own, open_doors, hello, within):
        yield from _judged(job, link, hello)


def _judged(job: Job, link: Link, mine: dict[str, str]) -> Iterator[Finding]:
    peer = job.members[link.peer]
    who = f"{peer.name} ({', '.join(peer.roles)}; {peer.address or 'dials out only'})"
    if link.problem:
        hint = "is jointfit check running there now, and do firewalls let connections to that address through?"
        code = 6 if "certificate" in link.problem else 4
        remedy = hint if code == 4 else "compare fingerprints by telephone"
        yield Finding("FAILED", f"{who}: {link.problem}", remedy, code)
        return
    speed = f"{link.sent / 1e6:.1f} MB/s there, {link.received / 1e6:.1f} MB/s back"
    yield good(f"{who}: reached, tls 1.3; round trip {link.round_trip * 1e3:.2f} ms, {speed}")
    if link.warning:
        yield Finding("WARNING", link.warning, f"{peer.name} runs jointfit keygen; the job gets the new fingerprint")
    theirs = link.hello
    if theirs.get("job") != mine["job"]:
        text = f"{peer.name} has the job {theirs.get('job', '')[:12]}, here it is {mine['job'][:12]}"
        yield Finding("FAILED", text, "compare the files: sha256sum job.toml", 3)
    for what in ("jointfit", "torch", "python"):
        if theirs.get(what) != mine[what]:
            text = f"{peer.name} has {what} {theirs.get(what)}, here it is {mine[what]}"
            must = what in _MUST_AGREE
            yield Finding("FAILED" if must else "WARNING", text, "install the same version", 3 if must else 0)
    if abs(link.clock) > _CLOCK:
        text = f"the clock of {peer.name} differs by {link.clock:+.0f} s"
        yield Finding("WARNING", text, "set both clocks; certificates and logs go by them")
