"""Secret truth values under claims: logic, the arithmetic form, gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from protocols import precision
from protocols.base import Share
from protocols.proofs.claims import Claim
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.thirds import dealer_of, split
from protocols.ring import broadcast, low_bits
from protocols.schedule import Beside
from protocols.trio.share import Parts, ReplicatedShare
from protocols.wire import pack_bits, unpack_bits


def packed(parts: Parts, shape: Sequence[int]) -> Parts:
    """Zeros and ones as bytes of bits, for elements of the shape given."""
    return each(lambda t: pack_bits(t.expand(tuple(shape)).reshape(-1)), parts)


def unpacked(parts: Parts, n: int, shape: torch.Size) -> Parts:
    """Bytes (..., ceil(n / 8)) of bits as zeros and ones of the shape given."""
    return each(lambda t: unpack_bits(t, n).reshape(shape), parts)


def both(p: Pieces, b: ReplicatedShare, c: ReplicatedShare) -> Share:
    """b and c. Cost: one bit an element, one round."""
    shape = broadcast(b.shape, c.shape)

    def step() -> PartsStep:
        one, other = p.ahead(p.parts(b)), p.ahead(p.parts(c))
        yield from (one, other)
        out = yield from p.times([(packed(one.result, shape), packed(other.result, shape))])
        return unpacked(out, shape.numel(), shape)

    return p.make(shape, 0, step(), is_bit=True)


# ---- arithmetic form -----------------------------------------------------------------------------------------------


def numbers(p: Pieces, index: int, b: Parts) -> Parts:
    """Zeros and ones of one piece as words, of which the two who know the piece make a share."""
    return p.only(index % 3, b, lambda t: t.to(torch.int64))


def claim_word(p: Pieces, dealer: int, b: Parts, word: Parts, width: int = 8) -> None:
    """Claim that a dealt word, modulo 2^(8 * width), is the exclusive or of the dealer's two pieces of b."""
    one, other = numbers(p, dealer, b), numbers(p, dealer + 1, b)
    doubled = each(lambda t: -2 * t, one)
    result = each(lambda w, s, t: low_bits(w - s - t, 8 * width), word, one, other)
    p.claims.add(Claim([(doubled, other)], result, width))


def _word(p: Pieces, dealer: int, b: Parts) -> PartsStep:
    """Step: the exclusive or of the dealer's two pieces of b as a word. Cost: 8 bytes from the dealer; one round."""
    out = yield from p.deal(dealer, b[0].shape, lambda: (b[0] ^ b[1]).to(torch.int64))
    claim_word(p, dealer, b, out)
    return out


def word(p: Pieces, b: ReplicatedShare, parts: Parts) -> tuple[int, Beside]:
    """Who deals the exclusive or of two pieces of b as a word, and the dealing; once."""
    if "word" not in b.facts:
        dealer = dealer_of(p, b)
        b.facts["word"] = (dealer, p.ahead(_word(p, dealer, parts)))
    return cast("tuple[int, Beside]", b.facts["word"])


def integer(p: Pieces, b: ReplicatedShare) -> Share:
    """Return b as the number 0 or 1, once. Cost: 8 bytes an element from who deals, and from each other; two rounds.

    With w = b_k xor b_(k+1), dealt and claimed, and c = b_(k+2) it is w + c - 2 w c.
    """
    if "integer" not in b.facts:

        def step(chunk: ReplicatedShare) -> PartsStep:
            parts = yield from p.parts(chunk)
            dealer, dealing = word(p, chunk, parts)
            yield dealing
            return (yield from exclusive(p, dealer, dealing.result, parts))

        b.facts["integer"] = p.make(b.shape, 0, split(p, [b], step, b.shape))
    return cast(Share, b.facts["integer"])


def exclusive(p: Pieces, dealer: int, first: Parts, b: Parts) -> PartsStep:
    """Step: b as words, from the exclusive or of the dealer's two pieces of it."""
    last = numbers(p, dealer + 2, b)
    crossed = yield from p.times([(first, last)], dealer=dealer)
    return each(lambda u, v, w: u + v - 2 * w, first, last, crossed)


def word_of(p: Pieces, b: Parts) -> PartsStep:
    """Step: zeros and ones as words. Cost: as `integer`."""
    dealer = p.least()
    first = yield from _word(p, dealer, b)
    return (yield from exclusive(p, dealer, first, b))


# ---- gates ---------------------------------------------------------------------------------------------------------


def gate(p: Pieces, b: Share, x: Share) -> Share:
    """x where b, else 0; the product where neither is a bit, the number 0 or 1 where both are.

    Cost: 16 bytes an element from each party, two rounds; 8 and one where b is in arithmetic form already.
    With w = b_k xor b_(k+1), dealt, and c = b_(k+2): b x = c x + w (x - 2 c x). In c x nobody but the two who know c
    has a summand, so who deals sends nothing for it.
    """
    if b.is_bit and x.is_bit:
        return p.integer(p.both(b, x))
    if not b.is_bit:
        b, x = x, b
    x = precision.operand(p, x)
    if not b.is_bit or "integer" in b.facts:
        return p.multiply(p.number(b), x)
    shape = broadcast(b.shape, x.shape)
    p.note(b"gate")
    bit, value = cast(ReplicatedShare, b), cast(ReplicatedShare, x)
    if b.shape == x.shape:
        return p.make(shape, x.bits, split(p, [bit, value], lambda one, other: _gate(p, one, other), shape))
    return p.make(shape, x.bits, _gate(p, bit, value))


def _gate(p: Pieces, b: ReplicatedShare, x: ReplicatedShare) -> PartsStep:
    wanted = p.ahead(p.parts(x))
    bit = yield from p.parts(b)
    dealer, dealing = word(p, b, bit)
    yield wanted
    value: Parts = wanted.result
    last, known = numbers(p, dealer + 2, bit), p.only((dealer + 2) % 3, value, lambda t: t)
    crossed = p.ahead(p.times([(last, each(torch.sub, value, known))], dealer=dealer))
    yield from (dealing, crossed)
    chosen = added(crossed.result, each(torch.mul, last, known))  # one piece of both: its product is theirs who know it
    out = yield from p.times([(dealing.result, each(lambda v, c: v - 2 * c, value, chosen))])
    return added(out, chosen)
