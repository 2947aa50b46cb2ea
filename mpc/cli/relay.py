"""``jointfit relay``: joins members that can only connect outwards."""

from __future__ import annotations

import argparse

from mpc import logs
from mpc.cli.ending import said
from mpc.cli.options import Commands, add_logging, examples

_RELAY = f"""\
Pass bytes on between members that have no address of their own, on a machine that all of them reach. The bytes are
encrypted between the members: a relay sees who is connected with whom, sizes and times. It needs no key and keeps
nothing. The job names it: [relay] address = "relay.example.org:7400".

{
    examples(
        ("jointfit relay --listen 0.0.0.0:7400", "until it is ended by Ctrl-C or SIGTERM"),
        ("jointfit relay --listen 127.0.0.1:7400", "for a trial on one machine"),
    )
}

{said(0, 2)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("relay", "pass bytes on between members that can only connect outwards", _RELAY, relay)
    parser.add_argument("--listen", default="0.0.0.0:7400", metavar="HOST:PORT", help="where to (0.0.0.0:7400)")
    add_logging(parser)


def relay(options: argparse.Namespace) -> int:
    """Run a relay until it is ended."""
    from parties.relay import serve
    from parties.roles import parse_address

    logs.begin("relay", level="warning" if options.quiet else options.log_level, as_json=options.log_json)
    serve(parse_address(options.listen))
    return 0
