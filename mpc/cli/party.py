"""``jointfit party`` and ``jointfit dealer``: take part in a job from this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpc import logs
from mpc.cli.ending import ALL, end
from mpc.cli.options import (
    Commands,
    add_identity,
    add_job,
    add_logging,
    add_member,
    add_progress,
    add_report,
    examples,
    key_and_certificate,
    progress_of,
)
from mpc.profiling import FOLDER
from parties import ConfigurationError

_PARTY = f"""\
Take part in a job: connect with the other members, train, and learn what the job lists for this member. All members
start at about the same time; each waits for the others as long as the job says ([limits] connect). Owners of data
name their table. Members that own data or receive results without computing run this command too.

{
    examples(
        ("jointfit party --job job.toml --as hospital_a --data mine.csv", ""),
        ("jointfit party --job job.toml --as hospital_a --data mine.parquet --key keys/hospital_a.key", ""),
        ("jointfit party --job job.toml --as hospital_a --data mine.csv --resume", "after a crash"),
        ("jointfit party --job job.toml --as hospital_a --data mine.csv --progress", "with a live view of its links"),
        ("jointfit party --job job.toml --as hospital_a --data mine.csv --profile profile", ""),
        ("jointfit party --job job.toml --as hospital_a --data mine.csv --report run.html", "a page to look at"),
    )
}

The log of reveals, checkpoints and results are in the state folder, jointfit-state/JOB-DIGEST/NAME unless --state says
otherwise: model.safetensors and results.json if the job lists them for this member.

{ALL}"""

_DEALER = f"""\
Take part in a job as its dealer, which sends the computing parties correlated random numbers, holds no data and learns
nothing. It must not be run by one of the computing parties, nor share anything with them.

{
    examples(
        ("jointfit dealer --job job.toml", ""),
        ("jointfit dealer --job job.toml --key keys/dealer.key --log-json", ""),
    )
}

{ALL}"""


def add(commands: Commands) -> None:
    """Declare both commands."""
    parser = commands.add("party", "take part in a job, with data or without", _PARTY, party)
    add_job(parser)
    add_member(parser)
    _add_common(parser)
    parser = commands.add("dealer", "take part in a job as its dealer", _DEALER, dealer)
    add_job(parser)
    parser.add_argument("--as", dest="name", metavar="NAME", help="name of the dealer (default: the job's)")
    _add_common(parser)
    parser.set_defaults(data=None)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_identity(parser)
    parser.add_argument("--profile", type=Path, metavar="DIR", help="write rank-R.json there; see jointfit profile")
    parser.add_argument("--resume", action="store_true", help="go on after the newest checkpoint that all members have")
    add_progress(parser)
    add_report(parser)
    add_logging(parser)


def party(options: argparse.Namespace) -> int:
    """Take part as a computing party or a client."""
    return _take_part(options, dealer=False)


def dealer(options: argparse.Namespace) -> int:
    """Take part as the dealer."""
    return _take_part(options, dealer=True)


def _take_part(options: argparse.Namespace, *, dealer: bool) -> int:
    from mpc.jobs.identities import check_identity, hand_over, passphrase_for, warn_of_expiry
    from mpc.jobs.membership import Membership, state_folder
    from mpc.jobs.running import run_member
    from parties.job import read_job

    job = read_job(options.job)
    name = options.name
    if dealer and name is None:
        if job.dealer is None:
            raise ConfigurationError(
                f"the job {job.name} has no dealer, and its protocol {job.protocol.name} none; want jointfit party"
            )
        name = job.names[job.dealer]
    if job.member(name).deals != dealer:
        role, command = ("the dealer", "dealer") if job.member(name).deals else ("no dealer", "party")
        raise ConfigurationError(f"{name} is {role} in this job; want jointfit {command}")
    key, certificate = key_and_certificate(options, name)
    member = Membership(
        path=options.job,
        job=job,
        name=name,
        data=options.data,
        key=key,
        certificate=certificate,
        state=options.state or state_folder(job, name),
        listen=options.listen,
        resume=options.resume,
        report=options.report,
    )
    shown = progress_of(options)
    if options.profile is not None:
        shown[FOLDER] = str(options.profile)
    logs.begin(name, job.names, level="warning" if options.quiet else options.log_level, as_json=options.log_json)
    try:
        check_identity(job, name, certificate)
        warn_of_expiry(certificate)
        run_member(member, {**hand_over(passphrase_for(key, options.passphrase_file)), **shown})
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 — every error becomes an exit code
        return end(error, job.names, debug=options.log_level == "debug", logged=options.log_json)
    return 0
