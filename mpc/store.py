"""What views share: one store with the value, beside each view's own geometry.

A store is public (a torch tensor), secret (a `Share` laid out contiguously in ``shape``) or lazy (a secret that is
computed when somebody needs it). Shares are immutable: a write puts a new share into the store, so whoever captured
the old one keeps it. A secret write makes a public store secret, for all its views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from protocols.base import Share

Geometry = tuple[torch.Size, tuple[int, ...], int]


def contiguous_strides(shape: torch.Size) -> tuple[int, ...]:
    """Strides of a contiguous tensor, as torch writes them."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


class Lazy:
    """A secret that is not computed yet: ``shape`` is known, ``needs`` are the lazy values it is computed from."""

    __slots__ = ("_compute", "_needs", "_share", "shape")

    def __init__(self, shape: torch.Size, compute: Callable[[], Share], needs: Sequence[Lazy] = ()) -> None:
        self.shape = shape
        self._compute: Callable[[], Share] | None = compute
        self._needs = tuple(needs)
        self._share: Share | None = None

    @property
    def done(self) -> bool:
        """Whether the value was computed already."""
        return self._share is not None

    def force(self) -> Share:
        """Compute the value, or return what was computed before. Long chains are walked without recursion."""
        stack = [self]
        while stack:
            top = stack[-1]
            waiting = [need for need in top._needs if not need.done]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            if top._compute is not None:
                top._share = top._compute()
                top._compute, top._needs = None, ()
            stack.pop()
        if self._share is None:
            raise RuntimeError("a lazy value was not computed")
        return self._share


class Store:
    """The value behind a tensor and its views. ``session`` has the protocol and the encoding.

    ``notes`` is what operations keep beside a value until it is written to: the one-hot bits behind indices, the
    softmax behind its logarithm.
    """

    __slots__ = ("_base", "_views", "home", "notes", "session", "shape")

    def __init__(self, session: Any, base: Share | Tensor | Lazy) -> None:
        self.session = session
        self.shape = base.shape
        self.home: Geometry = (base.shape, contiguous_strides(base.shape), 0)
        self._base = base.contiguous() if isinstance(base, Tensor) else base
        self._views: dict[Geometry, Share] = {}
        self.notes: dict[str, Any] = {}

    @property
    def is_secret(self) -> bool:
        """Whether the value is secret."""
        return not isinstance(self._base, Tensor)

    @property
    def lazy(self) -> Lazy | None:
        """The promise, while the value is not computed."""
        return self._base if isinstance(self._base, Lazy) and not self._base.done else None

    def share(self, geometry: Geometry) -> Share:
        """Return the secret seen through a view's geometry; the same object until the next write."""
        if isinstance(self._base, Lazy):
            self._base = self._base.force()
        if isinstance(self._base, Tensor):
            raise TypeError("a public store has no share")
        if geometry == self.home:
            return self._base
        found = self._views.get(geometry)
        if found is None:
            found = self.session.protocol.structural(self._base, _strided(geometry))
            self._views[geometry] = found
        return found

    def remember(self, geometry: Geometry, share: Share) -> None:
        """Note what a view sees, with the facts known about it."""
        self._views[geometry] = share

    def plain(self, geometry: Geometry) -> Tensor:
        """Return the public tensor seen through a view's geometry; writes to it are writes to the store."""
        if not isinstance(self._base, Tensor):
            raise TypeError("a secret store has no public value")
        if geometry == self.home:
            return self._base
        size, stride, offset = geometry
        return self._base.as_strided(size, stride, self._base.storage_offset() + offset)

    def write(self, geometry: Geometry, share: Share | Lazy) -> None:
        """Replace what a view sees by a secret."""
        if geometry == self.home:
            self._base = share
        else:
            if isinstance(share, Lazy):
                share = share.force()
            protocol = self.session.protocol
            base = self._base
            if isinstance(base, Lazy):
                base = base.force()
            elif isinstance(base, Tensor):
                base = protocol.constant(*self.session.encoding.addend(base, share.bits))
            if base.is_bit != share.is_bit:
                base = protocol.integer(base) if base.is_bit else base
                share = protocol.integer(share) if share.is_bit else share
            self._base = protocol.join([base, share], _overwrite(geometry))
        self._changed()

    def write_public(self, geometry: Geometry, value: Tensor) -> None:
        """Replace what a view sees by a public value; the store stays secret unless all of it is replaced."""
        if isinstance(self._base, Tensor):
            self.plain(geometry).copy_(value)
        elif geometry == self.home:
            self._base = value.clone(memory_format=torch.contiguous_format)
            self._changed()
        else:
            self.write(geometry, self.session.protocol.constant(*self.session.encoding.addend(value, 0)))

    def copy(self) -> Store:
        """Copy the store; shares are immutable and are not copied."""
        base = self._base.clone() if isinstance(self._base, Tensor) else self._base
        twin = Store(self.session, base)
        twin._views, twin.notes = dict(self._views), dict(self.notes)
        return twin

    def _changed(self) -> None:
        self._views, self.notes = {}, {}


def _strided(geometry: Geometry) -> Callable[[Tensor], Tensor]:
    size, stride, offset = geometry

    def move(t: Tensor) -> Tensor:
        t = t.contiguous()
        return t.as_strided(size, stride, t.storage_offset() + offset)

    return move


def _overwrite(geometry: Geometry) -> Callable[[list[Tensor]], Tensor]:
    size, stride, offset = geometry

    def move(tensors: list[Tensor]) -> Tensor:
        out = tensors[0].clone(memory_format=torch.contiguous_format)
        out.as_strided(size, stride, offset).copy_(tensors[1])
        return out

    return move
