"""From a job and a member to connections and a session: what `mpc.session()` does in a program of a job."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from mpc.agreed import Agreed, Allowed
from mpc.checkpoints import Checkpoints
from mpc.jobs.identities import credentials, handed_over
from mpc.jobs.listening import doors
from mpc.jobs.membership import Membership, is_rehearsal
from mpc.jobs.state import REVEALS
from mpc.memory import keep_freed_memory
from parties import ConfigurationError, Party
from parties.job import Job
from parties.needs import VARIABLE
from parties.sealing import Sealer
from parties.tls import TlsChannel
from parties.topology import routes

if TYPE_CHECKING:
    from mpc.session import Session

log = logging.getLogger(__name__)

_JOINED = "JOINTFIT_JOINED"


def open_session(device: Any, report: Any, *, protocol: str | None, bits: int, rounding: str) -> Session:
    """The session of the job that this process runs, connected with all its members.

    Arguments:
        device, report: where this member's shares live, and where its report goes.
        protocol, bits, rounding: what the program asked for; what `mpc.session` has by default means the job's.

    The variable JOINTFIT_PROTOCOL overrides no job: where it says another protocol, a warning says that it does not
    count.

    Raises:
        ConfigurationError: the program asks for something else than the job, or opens a second session.
        DisagreementError: a member has another job, or other versions.
        DeadlineError: a member was not there in time.
        IdentityError: a member shows another certificate than the job names.
    """
    from mpc.session import session

    member = Membership.from_environment()
    said = member.job.protocol
    asked: list[tuple[str, Any, Any, Any]]
    asked = [("protocol", protocol, None, said.name), ("bits", bits, 20, said.bits)]
    for name, value, default, want in [*asked, ("rounding", rounding, "chance", said.rounding)]:
        if value not in (default, want):
            raise ConfigurationError(f"mpc.session({name}={value!r}); the job says {want!r}, want that")
    if os.environ.get(VARIABLE, said.name) != said.name:
        what = "%s is %.100r, and does not count: the job says %r"
        log.warning(what, VARIABLE, os.environ[VARIABLE], said.name, extra={"event": "protocol"})
    if os.environ.get(_JOINED) == "1":
        raise ConfigurationError("a job has one session, and this program opened it already")
    os.environ[_JOINED] = "1"
    passphrase = handed_over()
    kept = checkpoints(member, passphrase)
    keep_freed_memory()
    party = connect(member, passphrase)
    opened = session(
        said.name,
        said.bits,
        party,
        rounding=said.rounding,
        device=device,
        parameters=member.job.model.parameters,
        program=program_name(member.job),
        agreed=agreed(member),
        checkpoints=kept,
        report=report,
    )
    log.info("all members agree on job, versions and program", extra={"event": "agreed"})
    return opened


def connect(member: Membership, passphrase: bytes | None) -> Party:
    """Connect with all members of the job; raises as `open_session` does."""
    job = member.job
    limits = {"deadline": job.limits.deadline, "connect_within": job.limits.connect, "breaks": job.limits.breaks}
    others = ", ".join(name for name in job.names if name != member.name)
    log.info("waiting for %s, up to %.0f s", others, job.limits.connect, extra={"event": "connecting"})
    if is_rehearsal():
        from parties.roles import connect as connect_here

        return connect_here(dealer=job.dealer is not None, clients=len(job.clients), deadline=job.limits.deadline)
    if member.key is None or member.certificate is None:
        raise ConfigurationError(f"{member.name} has no key in the environment; start it with `jointfit party`")
    channel = TlsChannel(
        member.rank,
        routes(job, member.rank),
        credentials(job, member.key, member.certificate, passphrase),
        doors=doors(job, member.name, member.listen),
        context=job.digest,
        **limits,
    )
    try:
        return Party(channel, dealer=job.dealer is not None, clients=len(job.clients))
    except BaseException as error:
        from parties.frames import Failure

        channel.abort(Failure.of(error, channel.rank))
        raise


def agreed(member: Membership) -> Agreed:
    """What the session is held to: the job's list of reveals and limits; this member's log."""
    job = member.job
    reveals = tuple(
        Allowed(each.what, frozenset(map(job.rank, each.to)), each.times, each.shape) for each in job.reveals
    )
    log_file = member.state / REVEALS
    return Agreed(job.digest, job.names, reveals, log_file, job.limits.seconds, job.limits.bytes)


def checkpoints(member: Membership, passphrase: bytes | None) -> Checkpoints | None:
    """Where this member keeps its shares, sealed under its key; None if the job has no checkpoints, or is rehearsed.

    Raises ConfigurationError if it is to resume without.
    """
    job, every = member.job, member.job.checkpoints.every
    if every == 0 or is_rehearsal():
        if member.resume:
            raise ConfigurationError("got --resume, and the job has no checkpoints: checkpoints.every is 0")
        return None
    if not member.member.computes or member.key is None:
        return Checkpoints(None, every, None, member.resume)
    sealer = Sealer.from_file(member.key, f"checkpoints/{job.digest.hex()}/{member.rank}", passphrase)
    return Checkpoints(member.state / "checkpoints", every, sealer, member.resume)


def program_name(job: Job) -> str:
    """What is run, as ranks compare it: the estimator, or the program with its hash."""
    model = job.model
    return f"estimator {model.estimator}" if model.program is None else f"{model.program} {model.sha256}"
