"""The threat model in force in one session: what its protocol, its links and its job make of it, in sentences."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mpc.report.parts import Trust
from parties import DryParty

if TYPE_CHECKING:
    from mpc.session import Session

_ENCRYPTED = "Links are TLS 1.3; both ends check each other's certificate against the one they expect."
_OPEN = "Links are neither encrypted nor authenticated: whoever controls the network between the ranks sees everything."
_TOGETHER = "All ranks ran on one machine: whoever controls it sees them all."
_THREADS = "All ranks were threads of one process and shared its memory: nothing was protected from anybody."
_ALONE = "One process held everything; there was nobody to protect it from, and nothing was protected."
_LIST = "Only what the job's list of reveals names was opened; every party refuses anything else, and keeps a log."
_AGREED = "Only what the agreed list of reveals names was opened; every party refuses anything else."
_NO_LIST = "There was no agreed list: whatever the programs of all computing parties opened alike was opened."


def in_force(session: Session) -> Trust:
    """The sentences for a session, each from who knows it: the protocol, the links, the list of reveals."""
    said = session.protocol.trust
    protects, links = said.protects, []
    if isinstance(session.party, DryParty):
        protects, links = False, [_ALONE]
    else:
        channel = session.party.channel
        if channel.transport == "threads":
            protects, links = False, [_THREADS]
        else:
            links = [_ENCRYPTED if channel.encrypted else _OPEN]
            links += [_TOGETHER] if "JOINTFIT_RANK" in os.environ else []
    agreed = session.agreed
    reveals = _NO_LIST if agreed is None else _AGREED if agreed.log is None else _LIST
    return Trust(
        protects=protects,
        adversary=said.adversary,
        curious=said.curious if protects else (),
        apart=said.apart if protects else (),
        links=tuple(links),
        reveals=(reveals,),
        open=said.open,
    )
