"""Which protocol a session runs: what the program says, or who started it, or nobody; and whether its ranks fit."""

from __future__ import annotations

import os

import protocols
from parties import ConfigurationError, Party
from parties.needs import DEFAULT, VARIABLE, Needs, check_ranks, check_stores, default_protocol

VARIABLE_SAYS = f"`jointfit run --protocol` or {VARIABLE}"
"""Who says it from outside, in words."""


def chosen(said: str | None) -> str:
    """The protocol where nothing is connected (`mpc.simulate`, `mpc.plan`, `mpc.deal`): what an argument says, else
    the variable JOINTFIT_PROTOCOL, else "additive".
    """
    return default_protocol() if said is None else said


def settled(said: str | None, asked: str | None, who: str) -> str:
    """The protocol of a session whose program says one, or none, and that was started with one, or none.

    Whoever starts a program chooses for one that does not. Where both do, they must agree: neither may run under
    another trust model than it asked for without noticing.

    Raises ConfigurationError, which names both, and ``who`` asked.
    """
    if said is not None and asked and said != asked:
        raise ConfigurationError(
            f"the program says mpc.session(protocol={said!r}), and {who} says {asked!r}; want one of them: leave "
            f"protocol= out of the program, or start it without"
        )
    return said or asked or DEFAULT


def of_process(said: str | None) -> str:
    """The protocol of a session that this process takes part in. Raises ConfigurationError, see `settled`."""
    return settled(said, os.environ.get(VARIABLE), VARIABLE_SAYS)


def check_party(protocol: str, party: Party, *, files: bool, keeps: bool) -> None:
    """Raise ConfigurationError unless a protocol can run on the ranks that a party is one of, and keep checkpoints."""
    check_needs(protocol, protocols.needs(protocol), party, files=files, keeps=keeps)


def check_needs(protocol: str, needs: Needs, party: Party, *, files: bool, keeps: bool) -> None:
    """As `check_party`, of a protocol that is made: only now it is known what a function that is no class has made."""
    dealer = party.dealer is not None
    check_ranks(protocol, needs, party.size, clients=len(party.clients), dealer=dealer, files=files)
    if keeps:
        check_stores(protocol, needs, "run without checkpoints (in a job: checkpoints.every = 0)")


def fitting(
    protocol: str, ranks: int, *, clients: int = 0, dealer: bool | None = None, files: bool = False
) -> Needs:
    """What a protocol needs; raises ConfigurationError unless these ranks are that, see `parties.needs.check_ranks`."""
    needs = protocols.needs(protocol)
    check_ranks(protocol, needs, ranks, clients=clients, dealer=dealer, files=files)
    return needs
