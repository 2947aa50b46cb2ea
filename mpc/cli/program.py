"""Options of the commands that run any program on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from parties import ConfigurationError


def add_program(parser: argparse._ActionsContainer) -> None:
    """The number of ranks, and the program with its own options, which come last."""
    parser.add_argument("-n", "--ranks", type=int, default=3, metavar="N", help="ranks, a dealer included (3)")
    add_program_itself(parser)


def add_program_itself(parser: argparse._ActionsContainer) -> None:
    """The program with its own options, which come last."""
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="program [options]", help="what to run")


def command_of(options: argparse.Namespace) -> list[str]:
    """The command that runs the program under this interpreter. Raises ConfigurationError if there is none."""
    program: list[str] = options.program
    if not program:
        raise ConfigurationError("no program; want one, as in: jointfit run -n 3 train.py")
    if options.module:
        return [sys.executable, "-m", *program]
    if not Path(program[0]).is_file():
        raise ConfigurationError(f"found no program {program[0]}; want a Python file")
    return [sys.executable, *program]
