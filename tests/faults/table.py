"""The fault matrices: what goes wrong × when × with whom, and how it has to end. README.md says how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

PHASES = ("handshake", "input", "training", "reveal")
ROLES = {"party": "hospital_b", "dealer": "dealer"}

RIGHT = "right"
"""All end well, with the right weights."""


@dataclass(frozen=True)
class Ends:
    """The survivors end with one of these exit codes, see `mpc.cli.ending`, and nothing is revealed any more.

    ``unnamed``: the error need not name the member that went wrong, and why. ``opened``: the model may be opened all
    the same, and why.
    """

    codes: frozenset[int]
    unnamed: str = ""
    opened: str = ""


@dataclass(frozen=True)
class Either:
    """All end well, or the survivors end as said: which of the two depends on what bytes the network hit."""

    ends: Ends


@dataclass(frozen=True)
class Absent:
    """There is no such case, and why."""

    why: str


Outcome = str | Ends | Either | Absent


def ends(*codes: int, unnamed: str = "", opened: str = "") -> Ends:
    """See Ends."""
    return Ends(frozenset(codes), unnamed, opened)


@dataclass(frozen=True)
class Fault:
    """A row: how it ends by phase, with a party and (where that differs) with the dealer."""

    party: dict[str, Outcome]
    dealer: dict[str, Outcome]

    def outcome(self, phase: str, role: str) -> Outcome:
        """How a cell ends."""
        return (self.dealer if role == "dealer" and phase in self.dealer else self.party)[phase]


def row(*party: Outcome, **dealer: Outcome) -> Fault:
    """A row with one outcome for all phases, or one for each; ``dealer`` gives those in which the dealer differs."""
    return Fault(dict(zip(PHASES, party * 4 if len(party) == 1 else party, strict=True)), dealer)


LOST = ends(4)
LIED = ends(3, 4)
_ONCE = Absent("it is compared once, in the handshake; TLS keeps it the same after that")
_NO_FILE = Absent("nothing is written between the handshake and the first checkpoint")
_NO_STATE = Absent("the dealer keeps no checkpoints")
_NO_DOOR = Absent("the dealer dials all others, so it listens nowhere")
_DONE = "the dealer has sent everything and takes no part in the opening"
_CHAIN = "the last party waits for the dealer and the first for the last; whose time is over first is heard"
_EITHER = Either(ends(4, 6, unnamed="who was connected already loses the one that gave up, and names that one"))

FAULTS: dict[str, Fault] = {
    # its process
    "kill": row(LOST, reveal=ends(4, opened=_DONE)),
    "stop": row(LOST, reveal=ends(4, opened=_DONE)),
    "stop briefly": row(RIGHT),
    # the network
    "cut": row(LOST, reveal=ends(4, opened=_DONE)),
    "cut briefly": row(RIGHT),
    "delay": row(RIGHT),
    "duplicate on the wire": row(_EITHER, RIGHT, RIGHT, RIGHT),
    "truncate on the wire": row(_EITHER, RIGHT, RIGHT, RIGHT),
    "corrupt on the wire": row(_EITHER, RIGHT, RIGHT, RIGHT),
    "replay on the wire": row(_EITHER, RIGHT, RIGHT, RIGHT),
    "port scanned": row(RIGHT, **dict.fromkeys(PHASES, _NO_DOOR)),
    # inside TLS
    "duplicate a frame": row(LIED, reveal=RIGHT),  # the dealer's last frame: nobody looks at what follows it
    "truncate a frame": row(LIED, reveal=ends(4, unnamed=_CHAIN)),
    **{f"{kind} a frame": row(LIED) for kind in ("corrupt", "replay", "reflect")},
    "foreign session": row(LIED),
    # its files
    "wrong certificate": row(ends(4, 6), _ONCE, _ONCE, _ONCE),
    "wrong job": row(ends(3), _ONCE, _ONCE, _ONCE),
    "wrong program": row(ends(4), ends(3), ends(3), ends(3), reveal=ends(3, 5)),
    "wrong version": row(ends(3), _ONCE, _ONCE, _ONCE),
    "disk full": row(ends(4), _NO_FILE, ends(2, 4), ends(4), training=_NO_STATE),
}

_BEFORE = Absent("no protocol takes part in the handshake")
_NEVER = Absent("nothing is written between the handshake and the log of reveals: there are no checkpoints")
_TRUSTED = Absent("the dealer is trusted to deal right")

AUTHENTICATED: dict[str, Fault] = {
    "kill": row(_BEFORE, LOST, LOST, LOST),
    "stop": row(_BEFORE, LOST, LOST, LOST),
    "cut": row(_BEFORE, LOST, LOST, LOST),
    "cut briefly": row(_BEFORE, RIGHT, RIGHT, RIGHT),
    "corrupt a frame": row(_BEFORE, LIED, LIED, LIED),
    "replay a frame": row(_BEFORE, LIED, LIED, LIED),
    "false part": row(_BEFORE, ends(3), ends(3), ends(3), **dict.fromkeys(PHASES[1:], _TRUSTED)),
    "disk full": row(_BEFORE, _NEVER, _NEVER, LOST),
}
"""Under the protocol `authenticated`: what depends on the protocol. The dealer deals what reveals are masked with, so
without it there are none."""

MATRICES = {"additive": FAULTS, "authenticated": AUTHENTICATED}

Cell = tuple[str, str, str]


def cells(faults: Mapping[str, Fault]) -> list[Cell]:
    """All: fault, phase, role."""
    return [(fault, phase, role) for fault in faults for role in ROLES for phase in PHASES]


def present(faults: Mapping[str, Fault]) -> list[Cell]:
    """Those that are not absent."""
    return [cell for cell in cells(faults) if not isinstance(outcome_of(faults, cell), Absent)]


def outcome_of(faults: Mapping[str, Fault], cell: Cell) -> Outcome:
    """How a cell ends."""
    fault, phase, role = cell
    return faults[fault].outcome(phase, role)


def as_text(faults: Mapping[str, Fault]) -> str:
    """A matrix in Markdown, and the reasons for its exceptions."""
    notes: dict[str, int] = {}

    def note(why: str) -> str:
        return f" [{notes.setdefault(why, len(notes) + 1)}]" if why else ""

    def said(outcome: Outcome) -> str:
        if isinstance(outcome, Ends):
            codes = " or ".join(map(str, sorted(outcome.codes)))
            return f"ends {codes}{note(outcome.unnamed)}{note(outcome.opened)}"
        if isinstance(outcome, Either):
            return f"{RIGHT}, or {said(outcome.ends)}"
        return f"–{note(outcome.why)}" if isinstance(outcome, Absent) else outcome

    lines = [f"| fault | with | {' | '.join(PHASES)} |", "|---|---|" + "---|" * len(PHASES)]
    for fault, role in product(faults, ROLES):
        outcomes = [said(faults[fault].outcome(phase, role)) for phase in PHASES]
        lines += [f"| {fault} | {role} | {' | '.join(outcomes)} |"]
    return "\n".join([*lines, "", *(f"{number}. {why}" for why, number in notes.items())])


if __name__ == "__main__":
    print("\n\n".join(as_text(faults) for faults in MATRICES.values()))
