"""A script, or a module, as a program that can be run several times in this process."""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpc.estimating.running import Program


def script(arguments: Sequence[str], *, module: bool = False) -> Program:
    """What runs a Python file, or a module, as the main program with these arguments, the first of which is its name.

    What it prints goes to standard error; a SystemExit without a code is its end. Other errors are raised.
    """

    def run() -> None:
        with _as_main(arguments, module=module), contextlib.redirect_stdout(sys.stderr):
            try:
                if module:
                    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
                else:
                    runpy.run_path(arguments[0], run_name="__main__")
            except SystemExit as error:
                if error.code:
                    raise

    return run


@contextlib.contextmanager
def _as_main(arguments: Sequence[str], *, module: bool) -> Iterator[None]:
    """Arguments and the first folder of the path as python has them for its main program."""
    folder = str(Path.cwd()) if module else str(Path(arguments[0]).resolve().parent)
    before = sys.argv, sys.path
    sys.argv, sys.path = list(arguments), [folder, *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = before
