"""``jointfit deal``: correlations to files, for a run without a dealer."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, add_protocol, protocol_of
from mpc.cli.program import add_program, command_of
from parties import ConfigurationError
from parties.needs import check_deal, needs_of

_DEAL = """\
Deal beforehand: run a program in the dealer's role alone, and write the random numbers that the parties will use up
to files, so that they can run it without a dealer. The program needs to say the shape of what it has not got,
`session.share(data, owner=0, shape=(500, 30))`, and session.reveal gives None. It opens one session.

examples:
  jointfit deal -n 3 --out deal train.py              one file for each of two parties, in the new folder deal/
  jointfit run -n 2 --correlations deal train.py      use them, on one machine

Elsewhere a party's program names its own file: mpc.session(correlations="correlations-of-rank-0.jointfit").
Options of the program must be those of the run. The files are used once: a second run needs a new deal.

Whoever holds the files of all parties can read everything that these parties exchange. So the dealer gives each party
its own file over a confidential way, keeps no copy, and takes no part in the run; files are not encrypted. A file is
marked as used, and its key erased, before the first use; delete it after the run.

"""


def add(commands: Commands) -> None:
    """Declare the command."""
    text = _DEAL + said(0, 1, 2, 130)
    parser = commands.add("deal", "write what a dealer would send to files, for a run without a dealer", text, deal)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    add_protocol(parser)
    parser.add_argument("--clients", type=int, default=0, metavar="C", help="how many ranks, of n, do not compute (0)")
    add_program(parser)


def deal(options: argparse.Namespace) -> int:
    """Deal for a program."""
    from mpc.offline import OUT, RANKS
    from parties.launch import run_alone
    from parties.roles import CLIENTS
    from protocols.correlations.store import deal_file

    command, asked = command_of(options), protocol_of(options)
    for name in asked.values():
        check_deal(name, needs_of(name))
    paths = [deal_file(options.out, rank) for rank in range(options.ranks - 1)]
    if any(os.path.lexists(path) for path in paths):
        raise ConfigurationError(f"{options.out} holds files of an earlier deal; want another folder")
    environ = {OUT: str(options.out.resolve()), RANKS: str(options.ranks), CLIENTS: str(options.clients), **asked}
    code = run_alone(command, options.ranks, environ, "jointfit deal")
    if all(path.exists() for path in paths):
        for rank, path in enumerate(paths):
            print(f"for rank {rank}: {path}, {path.stat().st_size:,} bytes")
    elif code == 0:
        raise ConfigurationError("the program ended well, but opened no session with mpc.session(): nothing was dealt")
    return code
