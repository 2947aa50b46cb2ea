"""Comparison with digit tables: a public value against a mask that the dealer knows.

For an opened c = x + r, the sign of x = c - r is msb(c) xor msb(r) xor [c_low < r_low]. r_low is cut into digits of
four bits. For each digit the dealer shares a one-hot table of 16 bits, v = digit for every v. The public digit of c
picks its entry, locally, and the parity of the entries above it, which is v < digit. A tree of nodes, each of which
joins up to four digits in one round, gives the bit. Source: digit-wise comparison with multi-fan-in gates after Ohata
and Nuida 2020; tables after ABY2.0/Turbospeedz style function-dependent masks. Security: semi-honest; all openings
are masked by fresh uniform bits.
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
    """Return the low ``count`` four-bit digits of int64 (..., n): int16 (count, ..., n), most significant first."""
    pairs = (count + 1) // 2
    octets = value.contiguous().unsqueeze(-1).view(torch.uint8)[..., :pairs].movedim(-1, 0).flip(0)
    both = torch.empty((pairs, 2, *value.shape), dtype=torch.int16, device=value.device)
    torch.bitwise_right_shift(octets, 4, out=both[:, 0])
    torch.bitwise_and(octets, 15, out=both[:, 1])
    return both.reshape(2 * pairs, *value.shape)[2 * pairs - count :]


def tables(p: Additive, mask: Mask, bits: int, *, signed: bool) -> Mask:
    """Return XOR-shared one-hot tables of the digits of the mask's low ``bits`` bits.

    Type and shape: int16 (digits, n), most significant digit first; bit v is v = digit. Since one bit is set, v < digit
    is the exclusive or of the bits above v, which each party takes by itself.

    ``signed`` puts the mask's sign bit into bit 15 of the top digit, which is shorter than four bits: it is added to
    every v < digit there, and comes out of the tree unchanged. Cost: 2 bytes a digit, offline, once for each mask.
    """
    key = ("tables", bits, signed)
    if key not in mask.facts:
        count = -(-bits // DIGIT)
        shape = (count, mask.share.numel())

        def build(r: Tensor) -> list[Tensor]:
            word = r.reshape(-1)
            places = digits(word, count)
            top = bits - DIGIT * (count - 1)
            places[0] &= (1 << top) - 1
            table = torch.bitwise_left_shift(1, places)
            if signed:
                table[0] |= (word >> 63 << 15).to(torch.int16)
            return [table]

        (mask.facts[key],) = p.correlations.deal([mask], [Output(shape, torch.int16)], build)
    return cast(Mask, mask.facts[key])


def below(p: Additive, public: Tensor, mask: Mask, bits: int, *, signed: bool = False) -> Generator[Any, None, Tensor]:
    """Step: XOR part of [public < mask] on the low ``bits`` bits, for public (*leading, *mask.shape).

    With ``signed`` (bits 63), of that bit xor the mask's sign. Shape and form of the result: as public, uint8.
    Cost: 7 bits for every full group of four digits and 6 for the last node: 34 bits an element
    in two rounds at 63 bits.
    """
    n = mask.share.numel()
    if not n:
        return p.part(public.shape, lambda: torch.zeros(public.shape, dtype=torch.uint8, device=p.device), torch.uint8)
    table = tables(p, mask, bits, signed=signed).share
    count = table.shape[0]
    rows = public.numel() // n

    def pick() -> Tensor:
        place = digits(public.reshape(rows, n), count)
        if bits % DIGIT:
            place[0] &= (1 << bits % DIGIT) - 1
        entries = table.unsqueeze(1)
        both = torch.empty((2, *place.shape), dtype=torch.uint8, device=place.device)
        _above(entries, place, both[0])
        both[1] = (entries >> place).bitwise_and_(1)
        return pack_bits(both)

    less, equal = p.part((2, count, rows, (n + 7) // 8), pick, torch.uint8)
    result = yield from join_digits(p, less, equal)
    return unpack_bits(result, n).reshape(public.shape)


def _above(table: Tensor, place: Tensor, out: Tensor) -> None:
    """Write the parity of the bits above ``place``, zeros and ones, to ``out`` (uint8)."""
    bits = torch.bitwise_left_shift(-2, place).bitwise_and_(table)
    out.copy_(bits.bitwise_xor_(bits >> 8))
    for fold in (4, 2, 1):
        out ^= out >> fold
    out &= 1


def negative(p: Additive, x: AdditiveShare) -> Share:
    """Bit x < 0.

    Domain: |x| * 2^bits < 2^63, all of the ring. Exact. Cost: 8 bytes an element unless x is open already, and 34
    bits; three rounds (two if open). Offline 44.875 bytes. The arithmetic form costs one more bit and round.
    """
    if "negative" not in x.facts:
        bit = signs(p, x, None)
        x.facts["negative"] = bit
    return cast(Share, x.facts["negative"])


def at_least(p: Additive, x: AdditiveShare, thresholds: Sequence[int]) -> Share:
    """Bits x >= t for public ring values t, from one opening: shape (len(thresholds), *x.shape).

    Cost: 8 bytes an element unless x is open, 34 bits for each threshold; three rounds. Offline 32 bytes, and 12.875
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
            return p.part(shape, lambda: torch.zeros(shape, dtype=torch.uint8, device=p.device), torch.uint8)
        public = form.public
        if thresholds is not None:
            offsets = torch.tensor(list(thresholds), dtype=torch.int64, device=p.device).reshape(
                -1, *(1 for _ in x.shape)
            )
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
            return p.part(x.shape, lambda: torch.zeros(x.shape, dtype=torch.uint8, device=p.device), torch.uint8)

        def build(r: Tensor) -> list[Tensor]:
            return [torch.bitwise_left_shift(1, digits(r.reshape(-1), 16))]

        (table,) = p.correlations.deal([form.mask], [Output((16, n), torch.int16)], build)

        def pick() -> Tensor:
            place = digits(form.public.reshape(1, n), 16)[:, 0]
            return pack_bits(((table.share >> place) & 1).to(torch.uint8))

        equal = p.part((16, (n + 7) // 8), pick, torch.uint8)
        result = yield from join_equal(p, equal.unsqueeze(1))
        return unpack_bits(result, n).reshape(x.shape)

    x.facts["zero"] = p.make(x.shape, 0, step(), is_bit=True)
    return cast(Share, x.facts["zero"])
