"""Shares of the additive protocol: a value that may still be on its way, and how its masked form comes about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from protocols.base import Share
from protocols.form import Form, Mask
from protocols.schedule import Opening, Task

DEPTH = 32
"""How many derivations and joins a share remembers; beyond that its value is opened afresh."""


@dataclass(frozen=True)
class BitForm:
    """A bit as public xor mask: ``public`` is 0/1 in uint8, ``mask`` is shared by exclusive or."""

    public: Tensor
    mask: Mask

    def structural(self, move: Callable[[Tensor], Tensor]) -> BitForm:
        """Move the elements."""
        return BitForm(move(self.public), self.mask.map(move))


@dataclass(frozen=True)
class Origin:
    """How a share came from another by a public linear map, so that its masked form does too.

    ``whole`` is true where opening the parent costs about what opening the share would, and serves its other views
    too: the parent is then opened instead of the share.
    """

    parent: AdditiveShare
    derive: Callable[[Form], Form]
    derive_bits: Callable[[BitForm], BitForm] | None
    whole: bool
    depth: int


@dataclass(frozen=True)
class Joined:
    """What a share was joined from, and how."""

    parts: list[AdditiveShare]
    move: Callable[[list[Tensor]], Tensor]
    depth: int


class AdditiveShare(Share):
    """One party's part of a secret: additive modulo 2^64 (int64), or by exclusive or (uint8 zeros and ones).

    Inner tensors: ``data`` (shape of the share; meta on clients, dealer, planner; None until ``ready``). ``clean`` is
    the form public - mask, ``form`` any masked form, ``bit_form`` that of a bit; each None until it is known. ``start``
    holds a computation that is run only if somebody uses the share. ``owner`` is the rank that knows an input,
    ``joined`` what this share was joined from, and how. ``after`` and ``opened`` are what ``data`` (and ``form``), and
    what ``clean`` or ``bit_form`` depend on, see `dependencies`.
    """

    __slots__ = (
        "after", "bit_form", "clean", "data", "form", "joined", "keep", "opened",
        "opening", "origin", "owner", "ready", "start", "waiters",
    )  # fmt: skip

    def __init__(self, shape: torch.Size, bits: int, is_bit: bool = False) -> None:
        super().__init__(shape, bits, is_bit)
        self.data: Tensor | None = None
        self.ready = False
        self.waiters: list[Task] = []
        self.clean: Form | None = None
        self.form: Form | None = None
        self.bit_form: BitForm | None = None
        self.opening: Opening | None = None
        self.origin: Origin | None = None
        self.start: Callable[[], None] | None = None
        self.keep = False
        self.owner: int | None = None
        self.joined: Joined | None = None
        self.after = self.opened = 0

    @property
    def from_owners(self) -> bool:
        """Whether the masked form costs the owners of inputs alone, or is there."""
        return self.clean is not None or self.owner is not None or (self.keep and self.joined is not None)

    @property
    def depth(self) -> int:
        """How many derivations and joins lie between this share and values that are opened by themselves."""
        known = self.origin or self.joined
        return known.depth if known is not None else 0

    @property
    def part(self) -> Tensor:
        """This rank's part; only for shares that are ready."""
        if self.data is None:
            raise RuntimeError(f"{self!r} has no value yet: a protocol step did not wait for it")
        return self.data

    @property
    def dtype(self) -> torch.dtype:
        """The type of parts."""
        return torch.uint8 if self.is_bit else torch.int64

    def begin(self) -> None:
        """Start the computation of a share that waited for being used."""
        if self.start is not None:
            start, self.start = self.start, None
            start()

    def known(self) -> AdditiveShare | None:
        """Return the nearest ancestor (or self) whose masked form is known or on its way, if there is one."""
        share: AdditiveShare | None = self
        while share is not None:
            if share.clean is not None or share.bit_form is not None or share.opening is not None:
                return share
            share = share.origin.parent if share.origin is not None else None
        return None

    def root(self) -> AdditiveShare:
        """Return the ancestor to open so that this share and its sisters are open."""
        share = self
        while share.origin is not None and share.origin.whole:
            share = share.origin.parent
        return share

    def derived(self, root: AdditiveShare, mask: Mask) -> Mask:
        """The mask that this share will have once an ancestor is open under another."""
        chain: list[Origin] = []
        share = self
        while share is not root:
            origin = cast(Origin, share.origin)
            chain.append(origin)
            share = origin.parent
        form = Form(torch.empty(root.shape, dtype=torch.int64, device="meta"), [(-1, mask)])
        for origin in reversed(chain):
            form = origin.derive(form)
        return form.mask

    def inherit(self) -> None:
        """Derive the masked form from the nearest ancestor that has one."""
        chain: list[AdditiveShare] = []
        share = self
        while share.clean is None and share.bit_form is None:
            if share.origin is None:
                raise RuntimeError(f"{self!r} has no ancestor in masked form")
            chain.append(share)
            share = share.origin.parent
        for child in reversed(chain):
            origin = cast(Origin, child.origin)
            if child.is_bit:
                if origin.parent.bit_form is None or origin.derive_bits is None:
                    raise RuntimeError(f"{child!r} cannot inherit from {origin.parent!r}")
                child.bit_form = origin.derive_bits(origin.parent.bit_form)
            else:
                if origin.parent.clean is None:
                    raise RuntimeError(f"{child!r} cannot inherit from {origin.parent!r}")
                child.clean = origin.derive(origin.parent.clean)
            child.opened = origin.parent.opened
            child.origin = None
            child.opening = None


def derived(
    parent: AdditiveShare,
    derive: Callable[[Form], Form],
    *,
    derive_bits: Callable[[BitForm], BitForm] | None = None,
    whole: bool,
) -> Origin | None:
    """Note an origin, unless the chain is too long to remember."""
    depth = parent.depth + 1
    return Origin(parent, derive, derive_bits, whole, depth) if depth < DEPTH else None
