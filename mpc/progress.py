"""A progress bar on rank 0, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mpc.session import Session

Item = TypeVar("Item")


def progress(session: Session | None, items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yield the items; show how many of ``total`` are done if this is rank 0, a terminal, and tqdm is installed."""
    if session is not None and session.rank == 0 and sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            items = tqdm(items, total=total, desc=what, leave=False)
    yield from items
