"""Ranks as threads of one process, for tests and notebooks: a program runs as it would in real processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

import parties
from mpc.checkpoints import Checkpoints
from mpc.choice import chosen, fitting
from mpc.randomness import OwnStream
from mpc.session import Session, session

Result = TypeVar("Result")


def simulate(
    n: int,
    program: Callable[[Session], Result],
    *,
    protocol: str | None = None,
    bits: int = 20,
    dealer: bool | None = None,
    clients: int = 0,
    deadline: float = 60.0,
    checkpoints: Callable[[int], Checkpoints] | None = None,
    **options: Any,
) -> list[Result]:
    """Run ``program(session)`` on n ranks that are threads of this process.

    n counts all ranks: those that compute, so many ``clients``, and a dealer, if there is one. Whether there is says
    the protocol ("additive" and 3: two parties and a dealer; "replicated" and 3: three parties), or ``dealer``; with
    files of ``correlations`` there is none.
    ``protocol``, ``bits`` and ``options`` are those of `mpc.session`; a rank waits ``deadline`` seconds for another.
    Returns what the program returned, in order of rank. Raises what it raised first, with a note that names the rank.
    Every thread's random numbers start from the present state of torch's generator: seed before, not inside.
    ``checkpoints`` gives each rank its own.

    Security: none between the ranks, which share their memory.

    >>> def program(session):
    ...     x = session.share(torch.tensor([1.0, 4.0]) if session.rank == 1 else None, owner=1)
    ...     return session.reveal(x.mean(), to=0)
    >>> mpc.simulate(3, program)
    [tensor(2.5000), None, None]
    """
    name, files = chosen(protocol), options.get("correlations") is not None
    needs = fitting(name, n, clients=clients, dealer=dealer, files=files)
    dealer = needs.dealer and not files if dealer is None else dealer
    state = torch.default_generator.get_state()

    def run(party: parties.Party) -> Result:
        kept = None if checkpoints is None else checkpoints(party.rank)
        with (
            torch.autograd.grad_mode.set_multithreading_enabled(False),
            OwnStream(state) as own,
            session(name, bits, party, checkpoints=kept, **options) as one,
        ):
            one.ordinary = own.stream
            return program(one)

    return parties.simulate(n, run, dealer=dealer, clients=clients, deadline=deadline)
