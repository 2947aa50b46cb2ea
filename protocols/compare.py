"""Comparison with digit tables: a public value against a mask that the dealer knows.

For an opened c = x + r, the sign of x = c - r is msb(c) xor msb(r) xor [c_low < r_low]. r_low is cut into digits of
four bits, and the dealer shares each digit as sixteen bits, [v = digit] for every v; [v < digit] is the sum of those
beyond v. The public digit of c picks an entry, locally. A tree of nodes, each of which joins up to four digits in one
round, gives the bit. An engine whose correlations travel in rounds takes digits of three bits, and nodes of three.
Everything local works on bit planes, eight values to a byte.
Source: digit-wise comparison with multi-fan-in gates after Ohata and Nuida 2020; tables after ABY2.0/Turbospeedz
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
from protocols.planes import above, one_hot, pick, planes
from protocols.ring import WORD, shift_right
from protocols.wire import unpack_bits

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine
    from protocols.steps import Dealing

def given(part: Tensor) -> Generator[Any, None, Tensor]:
    """Step that is done at once."""
    yield from ()
    return part


def nothing(p: Engine, shape: Sequence[int]) -> Tensor:
    """Parts of bits that are none, of an empty value."""
    return p.part(shape, lambda: p.public(torch.zeros(tuple(shape), dtype=torch.uint8, device=p.device)), torch.uint8)


def digits(bits: Tensor, count: int, size: int) -> Tensor:
    """Return planes (bits, ...) as the planes of ``count`` digits, (count, size, ...); what is missing is zero."""
    short = count * size - bits.shape[0]
    if short:
        bits = torch.cat([bits, bits.new_zeros((short, *bits.shape[1:]))])
    return bits.reshape(count, size, *bits.shape[1:])


def part_of(every: Tensor, start: int, end: int, size: int) -> Tensor:
    """Planes up to ``end``, from the digit of ``start`` on; what stands below it is set to zero, in their memory."""
    first = start - start % size
    every[first:start] = 0
    return every[first:end]


def tables(p: Engine, mask: Mask, bits: int, *, signed: bool, digit: int = 0, start: int = 0) -> Dealing:
    """Have XOR-shared planes [v = digit] of the mask's low ``bits`` bits dealt, once for each mask; see `table_of`.

    ``digit``: bits of a digit, if not the engine's number. ``signed``: with the mask's sign. ``start``: the first bit
    that counts; those below it are taken for zero, and digits of such bits alone are left out. Cost: 2^digit bits a
    digit, offline. Where correlations travel in a round, [0 = digit] is left out, and the sign has a plane of its own;
    else it is entry 15 of the top digit, which has three bits.
    """
    size = digit or p.base(mask.share.numel())
    key = ("tables", bits, signed, size, start)
    if key not in mask.facts:
        count, width, entries = -(-bits // size) - start // size, (mask.share.numel() + 7) // 8, 1 << size
        shape = (count * (entries - 1) + signed, width) if p.early else (count, entries, width)

        def build(r: Tensor) -> list[Tensor]:
            every = planes(r.reshape(-1))
            out = one_hot(digits(part_of(every, start, bits, size), count, size))
            if p.early:
                rest = [every[WORD - 1 :]] if signed else []
                return [torch.cat([out[:, 1:].flatten(0, 1), *rest])]
            if signed:
                out[-1, 15] = every[WORD - 1]
            return [out]

        mask.facts[key] = p.deal([mask], Output(shape, torch.uint8), build)
    return cast("Dealing", mask.facts[key])


def table_of(p: Engine, dealt: Mask, size: int, *, signed: bool) -> tuple[Tensor, Tensor | None]:
    """The part of `tables`, uint8 (digits, 2^size, ceil(n / 8)), and of the mask's sign.

    Where the top digit has an entry to spare it holds the sign, and there is none beside: `above` then adds it to every
    [v < digit] of that digit, from where it comes out of the tree unchanged.
    """
    share = dealt.share
    if not p.early:
        return share, None
    entries = 1 << size
    rows, sign = (share[:-1], share[-1]) if signed else (share, None)
    rest = rows.reshape(-1, entries - 1, share.shape[1])
    first = rest[:, 0]
    for place in range(1, entries - 1):
        first = first ^ rest[:, place]
    first = p.flip(first, torch.full(tuple(first.shape), 255, dtype=torch.uint8, device=p.device))
    out = torch.cat([first.unsqueeze(1), rest], 1)
    if sign is not None and 63 % size:
        out[-1, -1] ^= sign
        sign = None
    return out, sign


def below(
    p: Engine, public: Tensor, mask: Mask, bits: int, *, signed: bool = False, start: int = 0
) -> Generator[Any, None, Tensor]:
    """Step: XOR part of [public < mask] on the low ``bits`` bits from ``start`` on, for public (*leading, *mask.shape).

    With ``signed`` (bits 63), of that bit xor the mask's sign. Shape and form of the result: as public, uint8.
    Cost: for every full group of four digits 7 bits, and 6 for the last node: 34 bits an element
    in two rounds at 63 bits.
    """
    n = mask.share.numel()
    if not n:
        return nothing(p, public.shape)
    dealing, size = tables(p, mask, bits, signed=signed, start=start), p.base(n)
    yield dealing
    count, rows, width = -(-bits // size) - start // size, public.numel() // n, (n + 7) // 8
    signs: list[Tensor] = []

    def look() -> Tensor:
        table, sign = table_of(p, dealing.mask, size, signed=signed)
        signs.extend([] if sign is None else [sign])
        index = digits(part_of(planes(public.reshape(rows, n)), start, bits, size), count, size)
        return torch.stack([pick(p.memory, above(table), index), pick(p.memory, table, index)]).flip(1)

    less, equal = p.part((2, count, rows, width), look, torch.uint8)
    result = yield from join_digits(p, less, equal, size)
    for sign in signs:
        result = result ^ sign
    return unpack_bits(result, n).reshape(public.shape)


def negative(p: Engine, x: AdditiveShare) -> Share:
    """Bit x < 0.

    Domain: |x| * 2^bits < 2^63, all of the ring. Exact. Cost: 8 bytes an element unless x is open already, and 34
    bits; three rounds (two if open). Offline 44.9 bytes. The arithmetic form costs one more bit and round.
    """
    if "negative" not in x.facts:
        bit = signs(p, x, None)
        x.facts["negative"] = bit
    return cast(Share, x.facts["negative"])


def signs(p: Engine, x: AdditiveShare, thresholds: Sequence[int] | None) -> Share:
    """Bits x - t < 0, with a leading axis for the thresholds; x < 0 without one for None.

    Cost: 8 bytes an element unless x is open, 34 bits for each threshold; three rounds. Offline 32 bytes, and 12.9
    for each threshold.
    """
    shape = x.shape if thresholds is None else torch.Size([len(thresholds), *x.shape])
    p.note(f"signs {thresholds}".encode())

    def step() -> Generator[Any, None, Tensor]:
        mask = yield from p.covering(x)
        if mask is not None and shape.numel():
            tables(p, mask, 63, signed=True)
        form = yield from p.masked(x)
        if not shape.numel():
            return nothing(p, shape)
        public = form.public
        if thresholds is not None:
            offsets = torch.tensor(list(thresholds), dtype=torch.int64, device=p.device).reshape(
                -1, *(1 for _ in x.shape)
            )
            public = p.part(shape, lambda: form.public - offsets)
        part = yield from below(p, public, form.mask, 63, signed=True)
        return part if p.virtual else p.flip(part, shift_right(public, 63).to(torch.uint8))

    return p.make(shape, 0, step(), is_bit=True)


def positive(p: Engine, x: AdditiveShare, places: int = 0) -> Share:
    """Bit x > 0, once ``places`` places of x are cut off as `truncate.rescale` does, not faithfully: of that number.

    Exact. For c = x + r the cut number is (c >> places) - (r >> places) modulo 2^(64 - places), so the bits below need
    not be compared. Cost: as `negative`, with digits for 63 - places bits: 23 bits an element for 20 places.
    """
    key = ("positive", places)
    if key not in x.facts:
        p.note(f"positive {places}".encode())

        def step() -> Generator[Any, None, Tensor]:
            mask = yield from p.covering(x)
            if mask is not None and x.numel:
                tables(p, mask, 63, signed=True, start=places)
            form = yield from p.masked(x)
            if not x.numel:
                return nothing(p, x.shape)
            public = p.part(x.shape, lambda: form.public - (1 << places))  # one less: negative if x is not positive
            part = yield from below(p, public, form.mask, 63, signed=True, start=places)
            return part if p.virtual else p.flip(part, shift_right(public, 63).bitwise_xor_(1).to(torch.uint8))

        x.facts[key] = p.make(x.shape, 0, step(), is_bit=True)
    return cast(Share, x.facts[key])


def zero(p: Engine, x: AdditiveShare) -> Share:
    """Bit x == 0, exactly. Cost: 8 bytes an element unless x is open, and 20 bits; three rounds. Offline 40 bytes."""
    if "zero" in x.facts:
        return cast(Share, x.facts["zero"])

    def step() -> Generator[Any, None, Tensor]:
        n = x.numel
        mask = yield from p.covering(x)
        if mask is not None and n:
            tables(p, mask, WORD, signed=False)
        form = yield from p.masked(x)
        if not n:
            return nothing(p, x.shape)

        dealing = tables(p, form.mask, WORD, signed=False)
        yield dealing
        size = p.base(n)
        count = -(-WORD // size)

        def look() -> Tensor:
            table, _ = table_of(p, dealing.mask, size, signed=False)
            return pick(p.memory, table, digits(planes(form.public.reshape(1, n)), count, size))

        equal = p.part((count, 1, (n + 7) // 8), look, torch.uint8)
        result = yield from join_equal(p, equal, size)
        return unpack_bits(result, n).reshape(x.shape)

    x.facts["zero"] = p.make(x.shape, 0, step(), is_bit=True)
    return cast(Share, x.facts["zero"])
