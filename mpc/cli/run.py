"""``jointfit run``: all ranks of a program, or all members of a job, as processes of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import (
    Commands,
    add_job,
    add_logging,
    add_progress,
    add_protocol,
    add_report,
    progress_of,
    protocol_of,
)
from mpc.cli.program import add_program, command_of
from parties import ConfigurationError

_RUN = f"""\
Run a program on several ranks of this machine, connected over TLS. Every rank runs the same program, which opens
`with mpc.session() as session:`. The protocol says which ranks there are: with additive, the default, the last one is a
dealer, which holds no data and learns nothing; with replicated there are three, and all compute.

With --job: rehearse a job. Every member is a process of this machine, with a throw-away identity, so that addresses,
keys and fingerprints of the job do not matter; all else is as in earnest, but for checkpoints, of which there are none.

examples:
  jointfit run -n 3 train.py                    two parties and a dealer
  jointfit run -n 3 --protocol replicated train.py    three parties and no dealer
  jointfit run -n 4 train.py --epochs 20        three parties and a dealer; options after the program are its own
  jointfit run -n 3 -m train                    a module instead of a file
  jointfit run --progress -n 3 train.py         with a live table of speeds
  jointfit run -n 2 --correlations deal train.py    two parties, with the files that `jointfit deal` wrote to deal/
  jointfit run -n 3 --report pages train.py     a page about the run for each rank: pages/rank-0.html, …
  jointfit run --job job.toml                   rehearse a job; owners' tables are data/NAME.csv beside it
  jointfit run --job job.toml --data hospital_a=a.csv --data hospital_b=b.parquet

The exit code is that of the rank that failed first.
{said(0, 1, 2, 3, 4, 5, 7, 130)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    add_all(commands.add("run", "run a program, or rehearse a job, on this machine alone", _RUN, run))


def add_all(parser: argparse.ArgumentParser) -> None:
    """The options of a run."""
    add_progress(parser)
    job = parser.add_argument_group("a job")
    add_job(job, required=False)
    job.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="an owner's table")
    state = "folder for what members write (default: jointfit-state/JOB-DIGEST/rehearsal)"
    job.add_argument("--state", type=Path, metavar="DIR", help=state)
    add_logging(job)
    add_report(parser, folder=True)
    program = parser.add_argument_group("a program")
    program.add_argument(
        "--correlations", type=Path, metavar="DIR", help="files of `jointfit deal`; then there is no dealer"
    )
    add_protocol(program)
    program.add_argument("--base-port", type=int, metavar="P", help="rank r listens on port P + r (free ports)")
    program.add_argument("--clients", type=int, default=0, metavar="C", help="how many ranks, of n, do not compute (0)")
    program.add_argument("--no-prefix", action="store_true", help="do not begin lines of output with the rank")
    add_program(program)


def run(options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> int:
    """Run a program, or rehearse a job; ``environ``: variables that all processes get besides."""
    if options.report is not None and options.report.suffix == ".html":
        raise ConfigurationError(f"--report {options.report}; want a folder: every rank writes a page of its own")
    if options.job is None:
        return _run_program(options, environ or {})
    from mpc.cli.rehearsal import rehearse

    if options.program:
        raise ConfigurationError(f"got --job and the program {options.program[0]}; want one of them")
    if options.protocol is not None:
        raise ConfigurationError(f"got --job and --protocol {options.protocol}; a job says its protocol itself")
    return rehearse(options, environ)


def _run_program(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from mpc.jobs import REPORT
    from mpc.live import watching
    from parties.launch import run_local

    command, asked = command_of(options), protocol_of(options, files=options.correlations is not None)
    environ = {**progress_of(options), **asked, **environ}
    if options.correlations is not None:
        from mpc.offline import FILES

        if not options.correlations.is_dir():
            raise ConfigurationError(f"found no folder {options.correlations}; want one that `jointfit deal` wrote")
        environ[FILES] = str(options.correlations.resolve())
    if options.report is not None:
        environ[REPORT] = str(options.report.absolute())
    with watching(options.progress) as progress:
        return run_local(
            command,
            options.ranks,
            options.base_port,
            dealer=None if options.correlations is None else False,
            clients=options.clients,
            prefix=not options.no_prefix,
            environ=environ,
            progress=progress,
        )
