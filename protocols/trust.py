"""What one relies on under a protocol, in sentences for people: reports of runs show them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ADDITIVE",
    "ADDITIVE_FROM_FILES",
    "AUTHENTICATED",
    "AUTHENTICATED_FROM_FILES",
    "REPLICATED",
    "VERIFIED",
    "Trust",
]


@dataclass(frozen=True)
class Trust:
    """What a protocol protects, against whom. SECURITY.md says more.

    Arguments:
        protects: whether it hides anything from any rank.
        adversary: what ranks are trusted to do, as the field calls it: "semi-honest", "malicious".
        curious: who may keep and combine what they see, and what they then learn.
        apart: who must not pool what they know.
        open: what it does not protect.
        holds: what a computing party holds of a secret with ``{elements}`` elements; empty: its part of it.
    """

    protects: bool
    adversary: str
    curious: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    holds: str = ""


_CURIOUS = (
    "Every rank may keep and combine all it sees: it learns its own inputs and what was revealed to it.",
    "All computing parties but one may pool what they saw, with any clients: that says nothing more about the data.",
)
_DEALER = (
    "The dealer must not collude with any computing party: together they see every secret of the run.",
    "The dealer sees no data and no opening; it is trusted to deal correctly, and nothing notices if it does not.",
)
_FILES = (
    "Whoever dealt the files of correlations must not collude with any computing party: together they see all.",
    "All files together and a recording of the messages give every secret too, afterwards: nobody may keep a copy.",
    "It is trusted to have dealt correctly, and nothing notices if it did not.",
)
_OPEN = (
    "Ranks are trusted to follow the program: one that deviates can spoil results, and can learn more than it should.",
    "Shapes, numbers of rows and columns, the architecture, settings and the order of batches are public.",
    "So are the number of steps, and the sizes and times of messages.",
    "What is revealed can itself say much about single rows; no noise is added to it.",
    "Data can be made up by its owner, and any rank can stop the run.",
)

_SHARE = "one share: {elements} random numbers, which say nothing without the others'"

ADDITIVE = Trust(True, "semi-honest", _CURIOUS, _DEALER, _OPEN, _SHARE)
ADDITIVE_FROM_FILES = Trust(True, "semi-honest", _CURIOUS, _FILES, _OPEN, _SHARE)

_ALONE = (
    "Every rank may keep and combine all it sees: it learns its own inputs and what was revealed to it.",
    "One computing party may pool what it saw with any clients: that says nothing more about the data.",
)
_MAJORITY = (
    "No two of the three computing parties may collude: together they see every secret of the run.",
)
_TWO = "two of three shares, {elements} random numbers each, which say nothing without the third"

REPLICATED = Trust(True, "semi-honest", _ALONE, _MAJORITY, _OPEN, _TWO)
_LIARS = (
    "All computing parties but one may pool what they saw, with any clients, and send what they like.",
    "They learn nothing more about the data, and a result that they changed is given out with chance 2^-34.",
)
_STILL_OPEN = (
    *_OPEN[1:-1],
    "Data can be made up by its owner, and any rank can stop the run, also when it alone has a result.",
)
_WITH_MACS = "a share with its MAC, {elements} random numbers twice, which say nothing without all others"

AUTHENTICATED = Trust(True, "malicious, with abort", _LIARS, _DEALER, _STILL_OPEN, _WITH_MACS)
AUTHENTICATED_FROM_FILES = Trust(True, "malicious, with abort", _LIARS, _FILES, _STILL_OPEN, _WITH_MACS)

_LIAR = (
    "Any one computing party may send what it likes, and may pool what it saw with any clients.",
    "It learns nothing more about the data, and a result that it changed is given out with chance 2^-40 at most.",
)
VERIFIED = Trust(True, "malicious, with abort", _LIAR, _MAJORITY, _STILL_OPEN, _TWO)
