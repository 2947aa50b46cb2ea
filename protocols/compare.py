"""Comparison with digit tables: a public value against a mask that the dealer knows.

For an opened c = x + r, the sign of x = c - r is msb(c) xor msb(r) xor [c_low < r_low]. r_low is cut into digits of
four bits. For each digit the dealer shares two tables of 16 bits: v < digit and v = digit for every v. The public
digit of c picks an entry, locally. A tree of nodes, each of which joins up to four digits in one round, gives the
bit. Source: digit-wise comparison with multi-fan-in gates after Ohata and Nuida 2020; tables after ABY2.0/Turbospeedz
style function-dependent masks. Security: semi-honest; all openings are masked by fresh uniform bits.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Mask
from protocols.gates import join_digits, join_equal
from protocols.ring import shift_right
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.additive import Additive
    from protocols.additive_share import AdditiveShare

DIGIT = 4


def given(part: Tensor) -> Generator[Any, None, Tensor]:
    """Step that is done at once."""
    yield from ()
    return part


def digits(value: Tensor, count: int) -> Tensor:
    """Return the low ``count`` four-bit digits of int64 (..., n): int32 (count, ..., n), least significant first."""
    octets = value.contiguous().unsqueeze(-1).view(torch.uint8).movedim(-1, 0)
    both = torch.stack([octets & 15, octets >> 4], 1).reshape(16, *value.shape)
    return both[:count].to(torch.int32)


def tables(p: Additive, mask: Mask, bits: int, *, signed: bool) -> Mask:
    """Return XOR-shared tables of the digits of the mask's low ``bits`` bits, for every v from 0 to 15.

    Type and shape: int32 (digits, n); bit v is v < digit, bit 16 + v is v = digit.

    ``signed`` adds the mask's sign bit to every entry v < digit of the top digit, where it comes out of the tree
    unchanged. Cost: 4 bytes a digit, offline, once for each mask.
    """
    key = ("tables", bits, signed)
    if key not in mask.facts:
        count = -(-bits // DIGIT)
        shape = (count, mask.share.numel())

        def build(r: Tensor) -> list[Tensor]:
            word = r.reshape(-1)
            places = digits(word, count)
            top = bits - DIGIT * (count - 1)
            places[-1] &= (1 << top) - 1
            less = (1 << places) - 1
            if signed:
                less[-1] ^= (shift_right(word, 63) * 0xFFFF).to(torch.int32)
            return [less | ((1 << places) << 16)]

        (mask.facts[key],) = p.correlations.deal([mask], [Output(shape, torch.int32)], build)
    return cast(Mask, mask.facts[key])


def below(p: Additive, public: Tensor, mask: Mask, bits: int, *, signed: bool = False) -> Generator[Any, None, Tensor]:
    """Step: XOR part of [public < mask] on the low ``bits`` bits, for public (*leading, *mask.shape).

    With ``signed`` (bits 63), of that bit xor the mask's sign. Shape and form of the result: as public, uint8.
    Cost: 7 bits for every full group of four digits and 6 for the last node: 34 bits an element
    in two rounds at 63 bits.
    """
    n = mask.share.numel()
    if not n:
        return p.part(public.shape, lambda: torch.zeros(public.shape, dtype=torch.uint8), torch.uint8)
    table = tables(p, mask, bits, signed=signed).share
    count = table.shape[0]
    rows = public.numel() // n

    def pick() -> Tensor:
        place = digits(public.reshape(rows, n), count)
        if bits % DIGIT:
            place[-1] &= (1 << bits % DIGIT) - 1
        entry = (table.unsqueeze(1) >> place).flip(0)
        return torch.stack([pack_bits((entry & 1).to(torch.uint8)), pack_bits(((entry >> 16) & 1).to(torch.uint8))])

    less, equal = p.part((2, count, rows, (n + 7) // 8), pick, torch.uint8)
    result = yield from join_digits(p, less, equal)
    return unpack_bits(result, n).reshape(public.shape)


def negative(p: Additive, x: AdditiveShare) -> Share:
    """Bit x < 0.

    Domain: |x| * 2^bits < 2^63, all of the ring. Exact. Cost: 8 bytes an element unless x is open already, and 34
    bits; three rounds (two if open). Offline 76.5 bytes. The arithmetic form costs one more bit and round.
    """
    if "negative" not in x.facts:
        bit = signs(p, x, None)
        x.facts["negative"] = bit
    return cast(Share, x.facts["negative"])


def at_least(p: Additive, x: AdditiveShare, thresholds: Sequence[int]) -> Share:
    """Bits x >= t for public ring values t, from one opening: shape (len(thresholds), *x.shape).

    Cost: 8 bytes an element unless x is open, 34 bits for each threshold; three rounds. Offline 64 bytes, and 12.5
    for each threshold.
    """
    return p.invert(signs(p, x, thresholds))


def signs(p: Additive, x: AdditiveShare, thresholds: Sequence[int] | None) -> Share:
    """Bits x - t < 0, with a leading axis for the thresholds; x < 0 without one for None."""
    shape = x.shape if thresholds is None else torch.Size([len(thresholds), *x.shape])
    p.note(f"signs {thresholds}".encode())

    def step() -> Generator[Any, None, Tensor]:
        form = yield from p.masked(x)
        if not shape.numel():
            return p.part(shape, lambda: torch.zeros(shape, dtype=torch.uint8), torch.uint8)
        public = form.public
        if thresholds is not None:
            offsets = torch.tensor(list(thresholds), dtype=torch.int64).reshape(-1, *(1 for _ in x.shape))
            public = p.part(shape, lambda: form.public - offsets)
        part = yield from below(p, public, form.mask, 63, signed=True)
        return part ^ shift_right(public, 63).to(torch.uint8) if p.first and not p.virtual else part

    return p.make(shape, 0, step(), is_bit=True)


def zero(p: Additive, x: AdditiveShare) -> Share:
    """Bit x == 0, exactly. Cost: 8 bytes an element unless x is open, and 20 bits; three rounds. Offline 40 bytes."""
    if "zero" in x.facts:
        return cast(Share, x.facts["zero"])

    def step() -> Generator[Any, None, Tensor]:
        form = yield from p.masked(x)
        n = x.numel
        if not n:
            return p.part(x.shape, lambda: torch.zeros(x.shape, dtype=torch.uint8), torch.uint8)

        def build(r: Tensor) -> list[Tensor]:
            return [(1 << digits(r.reshape(-1), 16)).to(torch.int16)]

        (table,) = p.correlations.deal([form.mask], [Output((16, n), torch.int16)], build)

        def pick() -> Tensor:
            place = digits(form.public.reshape(1, n), 16)[:, 0]
            return pack_bits(((table.share.to(torch.int32) >> place) & 1).to(torch.uint8))

        equal = p.part((16, (n + 7) // 8), pick, torch.uint8)
        result = yield from join_equal(p, equal.unsqueeze(1))
        return unpack_bits(result, n).reshape(x.shape)

    x.facts["zero"] = p.make(x.shape, 0, step(), is_bit=True)
    return cast(Share, x.facts["zero"])
