"""What operations of `verified` are written with: pieces of shares, products and dealt values, with their claims.

A share is x = x_0 + x_1 + x_2, and piece j is known to party j, as its first part, and to party j - 1, as its second.
What two parties know alike they can compute a function of without a message, and the result is a share whose other
pieces are zero (`only`). What one party knows, of its two pieces, it shares with the others (`deal`). Products of
shares take a round (`times`). Every message is one of these, and each comes with a claim about what was sent.

Security: until the claims are checked a party that lies adds an error that it knows to what it sends, and nothing else
(Lindell and Nof 2017); all messages are uniform. Source: Araki et al. 2016 (products).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from parties import Seeds
from protocols.proofs.claims import Claim, Claims, Pair
from protocols.ring import broadcast, low_bits, outline
from protocols.trio.among import AmongThree
from protocols.trio.circle import RING
from protocols.trio.routes import Passing
from protocols.trio.share import Parts

PartsStep = Generator[Any, None, Parts]


class Pieces(AmongThree):
    """Three parties whose every message is claimed. ``claims``: what waits to be checked."""

    claims: Claims

    def least(self) -> int:
        """Who has sent least so far, and deals next."""
        return self.sent.index(min(self.sent))

    def none(self, shape: Sequence[int], dtype: torch.dtype = torch.int64) -> Tensor:
        """A piece that is zero."""
        return torch.zeros((), dtype=dtype, device=self.device).expand(tuple(shape))

    def only(
        self,
        index: int,
        parts: Parts,
        function: Callable[[Tensor], Tensor],
        shape: Sequence[int] | None = None,
        dtype: torch.dtype = torch.int64,
    ) -> Parts:
        """The share of a function of piece ``index`` of another share, of the shape given or its own. No message."""
        shape = parts[0].shape if shape is None else shape
        if self.virtual:
            return (outline(shape, dtype),) * 2
        place, none = (index - self.party.rank) % 3, self.none(shape, dtype)
        if place == 2:
            return none, none
        value = function(parts[place])
        if value.shape != torch.Size(shape) or value.dtype != dtype:
            raise TypeError(f"a piece of {value.dtype} {tuple(value.shape)}, declared {dtype} {tuple(shape)}")
        return (value, none) if place == 0 else (none, value)

    def deal(
        self,
        dealer: int,
        shape: Sequence[int],
        compute: Callable[[], Tensor],
        dtype: torch.dtype = torch.int64,
        width: int = 8,
    ) -> PartsStep:
        """Step: the share of a value that the dealer computes of what it holds: words, or bytes of bits.

        Words count modulo 2^(8 * width). Piece dealer + 1 is pseudo-random, piece dealer + 2 zero. It is on the caller
        to claim what the value is. Cost: ``width`` bytes a word, or the bits, from the dealer; one round.
        """
        rank, after = self.party.rank, (dealer + 1) % 3
        self.note(f"deal {dealer} {tuple(shape)} {dtype} {width}".encode())
        seeded, rest = (outline(shape, dtype),) * 2
        if not self.virtual and rank in {dealer, after}:
            stream = cast(Seeds, self.seeds).stream(after if rank == dealer else dealer, "dealt", dealer)
            seeded = self._cut(self.memory.uniform(shape, stream, dtype), width)
        if not self.virtual and rank == dealer:
            value = compute()
            if value.shape != torch.Size(shape) or value.dtype != dtype:
                raise TypeError(f"dealt {value.dtype} {tuple(value.shape)}, declared {dtype} {tuple(shape)}")
            rest = value ^ seeded if dtype == torch.uint8 else self._cut(value - seeded, width)
        passing = Passing(rest, None if dtype == torch.uint8 else width, [(dealer, (dealer + 2) % 3)], adds=False)
        self.queue(passing)
        yield passing
        if self.virtual:
            return seeded, seeded
        none = self.none(shape, dtype)
        if rank == dealer:
            return rest, seeded
        return (seeded, none) if rank == after else (none, cast(Tensor, passing.value))

    def times(self, pairs: Sequence[Pair], dealer: int | None = None, width: int = 8) -> PartsStep:
        """Step: the sum of products of shares, words or bytes of bits, which broadcast; words modulo 2^(8 * width).

        ``dealer``: where of every pair one factor has no piece but dealer + 2, and the other does not have that one;
        the two others then exchange their summands under masks that each shares with the dealer. Else every party sends
        its summand, made fresh by a sharing of zero, to the party before it. Cost: ``width`` bytes a word, or the bits,
        from each party that sends; one round.
        """
        (a, _), (b, _) = pairs[0]
        shape, dtype = broadcast(a.shape, b.shape), a.dtype
        self.note(f"times {dealer} {len(pairs)} {tuple(shape)} {dtype} {width}".encode())
        total = outline(shape, dtype) if self.virtual else self._cut(summand(pairs), width)
        out = yield from (self.around(total, width) if dealer is None else self._between(total, dealer, width))
        self.claims.add(Claim(pairs, out, width))
        return out

    def _cut(self, words: Tensor, width: int) -> Tensor:
        return words if words.dtype == torch.uint8 else low_bits(words, 8 * width)

    def around(self, total: Tensor, width: int = 8) -> PartsStep:
        """Step: a share of which every party has a summand; what it sends is made fresh by a sharing of zero."""
        own = total
        if not self.virtual and total.dtype == torch.uint8:
            own = total ^ self._fresh_bytes(total.shape)
        elif not self.virtual:
            own = self._cut(total + self.fresh_zero(total.shape, is_bit=False), width)
        passing = Passing(own, None if own.dtype == torch.uint8 else width, RING, adds=False)
        self.queue(passing)
        yield passing
        return own, cast(Tensor, passing.value)

    def _fresh_bytes(self, shape: Sequence[int]) -> Tensor:
        """This rank's part of a uniform sharing of bytes of zeros."""
        rank = self.party.rank
        one, other = (
            self.memory.uniform(shape, cast(Seeds, self.seeds).stream(peer, "zero"), torch.uint8)
            for peer in ((rank + 1) % 3, (rank + 2) % 3)
        )
        return one ^ other

    def _between(self, total: Tensor, dealer: int, width: int) -> PartsStep:
        rank, first, last = self.party.rank, (dealer + 1) % 3, (dealer + 2) % 3
        is_bit = total.dtype == torch.uint8
        masks = [outline(total.shape, total.dtype)] * 2
        part = total
        if not self.virtual:
            peers = [first, last] if rank == dealer else [dealer]
            streams = [cast(Seeds, self.seeds).stream(peer, "mask", dealer) for peer in peers]
            masks = [self._cut(self.memory.uniform(total.shape, one, total.dtype), width) for one in streams]
            if rank != dealer:
                part = total ^ masks[0] if is_bit else self._cut(total - masks[0], width)
        routes = ((first, last), (last, first))
        passing = Passing(part, None if is_bit else width, routes, adds=True)
        self.queue(passing)
        yield passing
        if self.virtual:
            return part, part
        if rank == dealer:
            return masks[1], masks[0]
        opened = cast(Tensor, passing.value)
        return (masks[0], opened) if rank == first else (opened, masks[0])


def summand(pairs: Sequence[Pair]) -> Tensor:
    """A party's summand of a sum of products. Source: Araki et al. 2016 (section 3)."""
    total: Tensor | None = None
    for (a, b), (c, d) in pairs:
        if a.dtype == torch.uint8:
            term = (a & (c ^ d)) ^ (b & c)
            total = term if total is None else total ^ term
        else:
            term = a * (c + d) + b * c
            total = term if total is None else total + term
    return cast(Tensor, total)


def added(*shares: Parts) -> Parts:
    """The sum of shares: words by addition, bits by exclusive or. No message."""
    plus = torch.bitwise_xor if shares[0][0].dtype == torch.uint8 else torch.add
    total = shares[0]
    for one in shares[1:]:
        total = plus(total[0], one[0]), plus(total[1], one[1])
    return total


def each(function: Callable[..., Tensor], *shares: Parts) -> Parts:
    """A linear function of every piece of shares. No message."""
    return function(*(s[0] for s in shares)), function(*(s[1] for s in shares))
