"""Planning: run a program without data and without peers, and know exactly what it will send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mpc.choice import chosen, fitting
from mpc.randomness import OwnStream
from mpc.session import Session, session
from parties import ConfigurationError, Counts, DryParty


@dataclass(frozen=True)
class Plan:
    """What a program will send: bytes of the busiest computing party online, rounds, and the dealer's bytes.

    ``client_bytes`` are those of the busiest client online, for its inputs. ``counts`` has the figures of rank 0 by
    label. Frame headers, and the setup of the session, are left out.
    """

    bytes: int
    rounds: int
    offline: int
    counts: Counts
    client_bytes: int = 0


def plan(
    program: Callable[[Session], Any],
    ranks: int = 3,
    *,
    clients: int = 0,
    protocol: str | None = None,
    bits: int = 20,
    **options: Any,
) -> Plan:
    """Run ``program(session)`` in the role of the planner: the same code as on a party, on shapes alone.

    ``ranks`` counts all, of which ``clients`` are clients and the last is the dealer, if the protocol has one;
    ``protocol``, ``bits`` and ``options`` are those of `mpc.session`. The program sees rank 0; `Session.reveal` returns
    None, as on a dealer.
    Inputs of other ranks are not here, so `Session.share` needs their shape: ``session.share(None, owner=1, shape=(500,
    30))``.

    Raises ConfigurationError where a shape is missing, or the ranks are not what the protocol wants. Sends nothing, and
    needs no data. The counts equal those of a real run of the same program, byte for byte.

    >>> def program(session):
    ...     x = session.share(None, owner=0, shape=(1000, 30))
    ...     w = session.share(None, owner=1, shape=(30, 1))
    ...     return session.reveal(torch.relu(x @ w))
    >>> plan = mpc.plan(program)
    >>> plan.bytes, plan.rounds, plan.offline
    (259032, 7, 69125)
    """
    name = chosen(protocol)
    needs = fitting(name, ranks, clients=clients)
    if needs.alone:
        raise ConfigurationError(f"protocol {name!r} sends nothing: there is nothing to plan")
    party = DryParty(ranks - clients - needs.dealer, dealer=needs.dealer, clients=clients)
    state = torch.default_generator.get_state()
    with (
        OwnStream(state),
        session(name, bits, party, planning=True, **options) as one,
    ):
        program(one)
        online = party.counts.total("online")
        computing, others = party.sent[: party.computing], party.sent[party.computing :]
        offline = one.protocol.offline_bytes
        return Plan(max(computing), online.rounds, offline, party.counts, max(others, default=0))
