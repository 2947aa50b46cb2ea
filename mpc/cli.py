"""The command line: ``jointfit run -n 3 program.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mpc.version import __version__
from parties import ConfigurationError
from parties.launch import run_local

_RUN = """\
Run a program on several ranks of this machine, connected over TLS. Every rank runs the same program, which opens
`with mpc.session() as session:`; the last rank is the dealer, which holds no data and learns nothing.

examples:
  jointfit run -n 3 train.py                    two parties and a dealer
  jointfit run -n 4 train.py --epochs 20        three parties and a dealer; options after the program are its own
  jointfit run -n 3 -m experiments.clinical     a module instead of a file

The exit code is 0 if all ranks ended well, otherwise that of the rank that failed first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command is None:
        _parser().print_help()
        return 2
    try:
        command = _command(options.module, options.program)
        dealer, prefix = not options.no_dealer, not options.no_prefix
        return run_local(command, options.ranks, options.base_port, dealer=dealer, prefix=prefix)
    except ConfigurationError as error:
        print(f"jointfit: {error}", file=sys.stderr)
        return 2


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
    run.add_argument("-n", "--ranks", type=int, default=3, metavar="N", help="ranks, the dealer included (3)")
    run.add_argument("--base-port", type=int, metavar="P", help="rank r listens on port P + r (default: free ports)")
    run.add_argument("--no-dealer", action="store_true", help="all ranks compute, for protocols without a dealer")
    run.add_argument("--no-prefix", action="store_true", help="do not begin lines of output with the rank")
    run.add_argument("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="program [options]", help="what to run")
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
