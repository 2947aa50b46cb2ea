"""Observer: what a Party tells about its traffic while it runs, to whoever accounts for it."""

from __future__ import annotations

__all__ = ["Observer"]


class Observer:
    """Told of every message, round and wait of one rank, in order, on the rank's own thread. Does nothing by itself.

    Set as `Party.observer`. Sizes are payload bytes, as in `Counts`; ``number`` is the frame's in its direction of the
    link, equal on both ends, so that a message can be found on both. Methods must not raise.
    """

    def begins(self, label: str, phase: str) -> None:
        """A round begins, which `Counts` counts as one."""

    def sent(self, to: int, number: int, size: int, label: str, phase: str) -> None:
        """A message was handed to the channel."""

    def waits(self) -> None:
        """This rank begins to wait for another one."""

    def goes_on(self) -> None:
        """What it waited for is there."""

    def received(self, source: int, number: int, size: int, label: str, phase: str) -> None:
        """A message has come, after `goes_on`."""

    def ends(self, label: str, phase: str) -> None:
        """The round that began last is over."""
