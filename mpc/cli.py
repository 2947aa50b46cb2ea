"""The command line: ``jointfit run -n 3 program.py``, ``jointfit deal -n 3 --out folder program.py``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mpc.offline import FILES, OUT, RANKS
from mpc.version import __version__
from parties import ConfigurationError
from parties.launch import run_alone, run_local
from parties.ranks import check_size
from protocols.correlations.store import deal_file

_RUN = """\
Run a program on several ranks of this machine, connected over TLS. Every rank runs the same program, which opens
`with mpc.session() as session:`; the last rank is the dealer, which holds no data and learns nothing.

examples:
  jointfit run -n 3 train.py                    two parties and a dealer
  jointfit run -n 4 train.py --epochs 20        three parties and a dealer; options after the program are its own
  jointfit run -n 3 -m experiments.clinical     a module instead of a file
  jointfit run -n 2 --correlations deal train.py    two parties, with the files that `jointfit deal` wrote to deal/

The exit code is 0 if all ranks ended well, otherwise that of the rank that failed first."""


_DEAL = """\
Deal beforehand: run a program in the dealer's role alone, and write the random numbers that the parties will use up
to files, so that they can run it without a dealer. The program needs to say the shape of what it has not got,
`session.share(data, owner=0, shape=(500, 30))`, and session.reveal gives None. It opens one session.

examples:
  jointfit deal -n 3 --out deal train.py              one file for each of two parties, in the new folder deal/
  jointfit run -n 2 --correlations deal train.py      use them, on one machine
  mpc.session(correlations="correlations-of-rank-0.jointfit")   use one, elsewhere

Options of the program must be those of the run. The files are used once: a second run needs a new deal.

Whoever holds the files of all parties can read everything that these parties exchange. So the dealer gives each party
its own file over a confidential way, keeps no copy, and takes no part in the run; files are not encrypted. A file is
marked as used, and its key erased, before the first use; delete it after the run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command is None:
        _parser().print_help()
        return 2
    try:
        command = _command(options.module, options.program)
        return _deal(command, options) if options.command == "deal" else _run(command, options)
    except ConfigurationError as error:
        print(f"jointfit: {error}", file=sys.stderr)
        return 2


def _run(command: Sequence[str], options: argparse.Namespace) -> int:
    dealer, environ = not options.no_dealer, {}
    if options.correlations is not None:
        if not options.correlations.is_dir():
            raise ConfigurationError(f"found no folder {options.correlations}; want one that `jointfit deal` wrote")
        dealer, environ = False, {FILES: str(options.correlations.resolve())}
    prefix = not options.no_prefix
    roles = {"dealer": dealer, "clients": options.clients}
    return run_local(command, options.ranks, options.base_port, **roles, prefix=prefix, environ=environ)


def _deal(command: Sequence[str], options: argparse.Namespace) -> int:
    paths = [deal_file(options.out, rank) for rank in range(options.ranks - 1)]
    check_size(options.ranks, dealer=True, clients=options.clients)
    if any(os.path.lexists(path) for path in paths):
        raise ConfigurationError(f"{options.out} holds files of an earlier deal; want another folder")
    environ = {OUT: str(options.out.resolve()), RANKS: str(options.ranks), "JOINTFIT_CLIENTS": str(options.clients)}
    code = run_alone(command, options.ranks, environ, "jointfit deal")
    if all(path.exists() for path in paths):
        for rank, path in enumerate(paths):
            print(f"for rank {rank}: {path}, {path.stat().st_size:,} bytes")
    elif code == 0:
        raise ConfigurationError("the program ended well, but opened no session with mpc.session(): nothing was dealt")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jointfit", description="Train one PyTorch model on data that several institutions keep to themselves."
    )
    parser.add_argument("--version", action="version", version=f"jointfit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    run = commands.add_parser(
        "run",
        help="run a program on several ranks of this machine",
        description=_RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    deal = commands.add_parser(
        "deal",
        help="write what a dealer would send to files, for a run without a dealer",
        description=_DEAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    deal.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    run.add_argument(
        "--correlations", type=Path, metavar="DIR", help="files of `jointfit deal`; then there is no dealer"
    )
    run.add_argument("--base-port", type=int, metavar="P", help="rank r listens on port P + r (default: free ports)")
    run.add_argument("--no-dealer", action="store_true", help="all ranks compute, for protocols without a dealer")
    run.add_argument("--no-prefix", action="store_true", help="do not begin lines of output with the rank")
    for command in (run, deal):
        command.add_argument("-n", "--ranks", type=int, default=3, metavar="N", help="ranks, the dealer included (3)")
        command.add_argument("--clients", type=int, default=0, metavar="C", help="how many of these are clients (0)")
        command.add_argument("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
        command.add_argument("program", nargs=argparse.REMAINDER, metavar="program [options]", help="what to run")
    return parser


def _command(module: bool, program: Sequence[str]) -> list[str]:
    """The command that runs a program under this interpreter."""
    if not program:
        raise ConfigurationError("no program; want one, as in: jointfit run -n 3 train.py")
    if module:
        return [sys.executable, "-m", *program]
    if not Path(program[0]).is_file():
        raise ConfigurationError(f"found no program {program[0]}; want a Python file")
    return [sys.executable, *program]


if __name__ == "__main__":
    sys.exit(main())
