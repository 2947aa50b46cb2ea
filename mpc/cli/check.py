"""``jointfit check``: whether a job could run now, as seen from one member."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mpc.cli.ending import said
from mpc.cli.options import Commands, add_identity, add_job, add_member, examples, key_and_certificate
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.jobs.checking import Finding

_CHECK = f"""\
Look at everything that a job needs, without touching secrets: the job file, this member's key and certificate, the
program's hash, the table against the job's columns, versions, disk. If the others run it at the same time, each link
too: whether it is there, secured by the right keys, with the same job and versions; clocks, round trip and
bandwidth, measured with random bytes on all links at once.

{
    examples(
        ("jointfit check --job job.toml --as hospital_a --data mine.csv", ""),
        ("jointfit check --job job.toml --as dealer --within 600", "wait ten minutes for the others"),
        ("jointfit check --job job.toml --as hospital_a --data mine.csv --alone", "this machine only"),
    )
}

Each line is OK, WARNING or FAILED; the exit code is that of the first failure.
{said(0, 2, 3, 4, 6, 130)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("check", "check job, keys, data, and links with the others", _CHECK, check)
    add_job(parser)
    add_member(parser)
    add_identity(parser)
    parser.add_argument("--within", type=float, default=60.0, metavar="S", help="seconds to wait for the others (60)")
    parser.add_argument("--alone", action="store_true", help="do not connect with the others")


def check(options: argparse.Namespace) -> int:
    """Check, a line at a time."""
    from mpc.jobs.checking import key_opens, local
    from mpc.jobs.identities import credentials
    from mpc.jobs.membership import state_folder
    from parties.job import read_job

    if not options.within > 0:
        raise ConfigurationError(f"--within {options.within:g}; want seconds above 0")
    job, name = read_job(options.job), options.name
    key, certificate = key_and_certificate(options, name)
    state = options.state or state_folder(job, name)
    opened, passphrase = key_opens(name, key, options.passphrase_file)
    codes = _show([opened]), _show(local(job, name, options.job.parent, options.data, certificate, state))
    code = codes[0] or codes[1]
    if options.alone:
        return code
    if 6 in codes:
        print("the links were not looked at: that needs this member's own identity")
        return code
    from mpc.jobs.links import linked

    others = ", ".join(each for each in job.names if each != name)
    print(f"waiting for {others}, up to {options.within:g} s", flush=True)
    own = credentials(job, key, certificate, passphrase)
    found = _show(linked(job, name, own, options.listen, options.within))
    return code or found


def _show(findings: Iterable[Finding]) -> int:
    """Print findings; the exit code of the first that failed."""
    code = 0
    for each in findings:
        remedy = f"\n         what to do: {each.remedy}" if each.remedy else ""
        print(f"{each.level:<8} {each.text}{remedy}", flush=True)
        code = code or each.code
    return code
