"""Dealing beforehand: run a program in the dealer's role alone, and write what the parties will need to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mpc.choice import chosen
from mpc.offline import Place, dealing_party
from mpc.randomness import OwnStream
from mpc.session import Session, session
from protocols.correlations.store import deal_file


def deal(
    program: Callable[[Session], Any],
    folder: str | Path,
    ranks: int = 3,
    *,
    clients: int = 0,
    protocol: str | None = None,
    bits: int = 20,
    **options: Any,
) -> list[Path]:
    """Run ``program(session)`` in the dealer's role without peers; `jointfit deal` does this for a script.

    Arguments:
        program: what the parties will run, with the same public arguments. It sees the dealer's rank, the last one.
            Inputs of other ranks are not here, so `Session.share` needs their shape, as in `mpc.plan`.
        folder: gets one file for each computing party and each client; must not hold files of an earlier deal.
        ranks: number of ranks, clients and the dealer included.
        clients: how many of them are clients.
        protocol, bits, options: as in `mpc.session`; a protocol without a dealer has nothing to deal.

    Returns the files, in order of rank, each readable by this user only. They are complete once the program has ended
    well; otherwise there are none.

    Raises ConfigurationError where a shape is missing, files are there already, the disk is full, or the protocol has
    no dealer.

    Security: whoever has all files can unmask every opening of the run; see protocols/correlations/store.py. Cost:
    memory for the largest message of corrections; on disk what `mpc.plan` gives as ``offline``.

    >>> def program(session):
    ...     x = session.share(torch.ones(3) if session.rank == 0 else None, owner=0, shape=(3,))
    ...     return session.reveal(x * x)
    >>> files = mpc.deal(program, "dealt")
    >>> [path.name for path in files]
    ['correlations-of-rank-0.jointfit', 'correlations-of-rank-1.jointfit']
    >>> mpc.simulate(2, program, dealer=False, correlations="dealt")
    [tensor([1., 1., 1.]), tensor([1., 1., 1.])]
    """
    name = chosen(protocol)
    party = dealing_party(ranks, clients, name)
    with (
        OwnStream(torch.default_generator.get_state()),
        session(name, bits, party, correlations=Place(out=Path(folder)), **options) as one,
    ):
        program(one)
    return [deal_file(folder, rank) for rank in range(ranks - 1)]
