"""Claims in the clear: what three ranks hold of each is put together, and the products are made; parties that lie."""

from typing import NamedTuple

import torch

from parties import simulate
from protocols import Verified

EVEN = 0x5555555555555555
"""The bits in even places."""


def whole(ranks, liar=None):
    """The value of which three ranks hold these parts, in the eyes of the two who do not lie; if all are honest they
    must agree on every piece."""
    pieces = []
    for piece in range(3):
        held = {piece: ranks[piece][0], (piece + 2) % 3: ranks[(piece + 2) % 3][1]}
        known = [part for rank, part in held.items() if rank != liar]
        assert all(torch.equal(part, known[0]) for part in known), f"two do not hold the same piece {piece}"
        pieces.append(known[0])
    one, two, three = pieces
    return one ^ two ^ three if one.dtype == torch.uint8 else one + two + three


def holds(claims, liar=None):
    """Whether what three ranks call the same claim is true."""
    first = claims[0]
    assert all(one.width == first.width and len(one.pairs) == len(first.pairs) for one in claims)
    result = whole([one.result for one in claims], liar)
    total = torch.zeros_like(result)
    for place in range(len(first.pairs)):
        x, y = (whole([one.pairs[place][side] for one in claims], liar) for side in (0, 1))
        if first.op is not None:
            total = total + first.op.apply(x, y)
        elif first.is_bit:
            total = total ^ (x & y)
        else:
            total = total + x * y
    wrong = total ^ result
    if first.width < 8:
        wrong = wrong & ((1 << (8 * first.width)) - 1)
    return not bool(wrong.any())


def false(ranks, liar=None):
    """Which claims do not hold, of those of three ranks that `claimed` gave."""
    waiting = [one.claims for one in ranks]
    assert len({len(one) for one in waiting}) == 1, "the ranks do not claim the same"
    return [place for place, claims in enumerate(zip(*waiting, strict=True)) if not holds(claims, liar)]


class Lying(Verified):
    """Rank ``liar`` changes one bit of message number ``target`` that it sends: the first, or the last there is."""

    def __init__(self, party, liar=None, target=None, last=False, **options):
        self.messages, self.begun, self.told = 0, False, False
        self._lie = (liar, target, last)
        super().__init__(party, **options)

    def queue(self, passing, after=None):
        liar, target, last = self._lie
        sends = self.party.rank == liar and any(source == liar for source, _ in passing.routes)
        if self.begun and sends and passing.part.numel():
            if self.messages == target:
                passing.part = self._changed(passing.part.clone(), passing.width, last)
                self.told = True
            self.messages += 1
        return super().queue(passing, after)

    def _changed(self, part, width, last):
        flat = part.reshape(-1)
        bit = 8 * (width or 1) - 1 if last else 0
        flat[-1 if last else 0] ^= torch.tensor(1 << bit if bit < 63 else -(1 << 63)).to(part.dtype)
        return flat.reshape(part.shape)


class Mistaken(Verified):
    """Rank ``liar`` computes as if every other bit of its first, or its second, piece of words were the other way."""

    def __init__(self, party, liar=None, second=False, **options):
        self.begun = False
        self._lie = (liar, second)
        super().__init__(party, **options)

    def parts(self, x):
        one, other = yield from super().parts(x)
        liar, second = self._lie
        if not self.begun or self.party.rank != liar or x.is_bit:
            return one, other
        return (one, other ^ EVEN) if second else (one ^ EVEN, other)


class Ran(NamedTuple):
    """Of one rank: what it claims, what it holds of the result."""

    claims: list
    parts: tuple
    protocol: Verified


def claimed(inputs, operation, make=Verified, **options):
    """Run ``operation(protocol, *inputs(protocol))``, a share, on three ranks, and all that it began.

    What happened before the inputs were there does not count.
    """

    def run(party):
        protocol = make(party, **options)
        shares = inputs(protocol)
        protocol.settle(*shares)
        protocol.claims.waiting.clear()
        protocol.begun = True
        out = operation(protocol, *shares)
        protocol.settle(out)
        while protocol.scheduler.pending:  # what the result did not need
            protocol.scheduler.round("rest")
        return Ran(list(protocol.claims.waiting), out.parts, protocol)

    return simulate(3, run, dealer=False)
