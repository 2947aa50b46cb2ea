"""``jointfit``: the command line. One file a command; each has ``add``, which declares it, and what it then does.

Nothing here loads torch before a command needs it: `jointfit --help`, `keygen` or `relay` start at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mpc.cli import (
    check,
    columns,
    deal,
    describe,
    estimate,
    init,
    keygen,
    party,
    profile,
    records,
    relay,
    report,
    run,
)
from mpc.cli.ending import end
from mpc.cli.options import Commands

__all__ = ["main", "make_parser"]

_ORDER = (
    ("make ready", (keygen, columns, init, describe, estimate, check)),
    ("train with the others", (party, relay)),
    ("on one machine", (run, profile, deal)),
    ("afterwards", (records, report)),
)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; ``act`` of what it returns is the function to call with it."""
    commands = Commands()
    for group, modules in _ORDER:
        commands.group(group)
        for module in modules:
            module.add(commands)
    return commands.parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, see `mpc.cli.ending`."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.act is None:
        parser.print_help()
        return 2
    try:
        return int(options.act(options))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 — every error becomes an exit code
        return end(error, debug=getattr(options, "log_level", "") == "debug")
    except SystemExit as error:
        return end(error)


