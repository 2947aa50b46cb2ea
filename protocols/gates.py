"""Trees of multi-input ANDs on packed shared bits: up to four inputs in one round.

Inputs are opened under masks; the dealer shares every product of mask bits that is needed. Then
AND(x_i) = XOR over subsets T of (product of public X_i, i not in T) and [product of masks m_i, i in T].
Source: Ohata and Nuida 2020 (multi-fan-in gates). Bits are packed eight to a byte along the last axis.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.correlations.dealer import Output
from protocols.ring import outline

if TYPE_CHECKING:
    from protocols.engine import Engine

@lru_cache(maxsize=64)
def _plan(
    terms: tuple[tuple[int, ...], ...], inputs: int, device: torch.device
) -> tuple[int, list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Return how many mask products are to be dealt and how to make them; for each term its inputs, and where each
    subset's product is in the bank.

    Products are made by size, from the product of all factors but the last (a mask or a product of the size before)
    and the last. The bank holds: nothing (zero), the constant one, the masks, the dealt products. A term with
    fewer inputs than others is filled up with an input that is one and has no mask.
    """
    fan = max(map(len, terms))
    products = sorted(
        {t for term in terms for size in range(2, len(term) + 1) for t in combinations(term, size)},
        key=lambda t: (len(t), t),
    )
    ways = []
    number: dict[tuple[int, ...], int] = {(i,): i for i in range(inputs)}
    for size in range(2, fan + 1):
        now = [t for t in products if len(t) == size]
        before = torch.tensor([number[t[:-1]] for t in now], device=device)
        ways.append((before, torch.tensor([t[-1] for t in now], device=device)))
        number = {t: k for k, t in enumerate(now)}
    where: dict[tuple[int, ...], int] = {
        (): 1,
        **{(i,): 2 + i for i in range(inputs)},
        **{t: 2 + inputs + k for k, t in enumerate(products)},
    }
    places = torch.zeros(len(terms), 1 << fan, dtype=torch.int64)
    chosen = torch.full((len(terms), fan), inputs, dtype=torch.int64)
    for row, term in enumerate(terms):
        chosen[row, : len(term)] = torch.tensor(term)
        for subset in range(1 << len(term)):
            places[row, subset] = where[tuple(term[i] for i in range(len(term)) if subset >> i & 1)]
    return len(products), [way for way in ways if way[0].numel()], chosen.to(device), places.to(device)


def conjunctions(p: Engine, inputs: Tensor, terms: tuple[tuple[int, ...], ...]) -> Generator[Any, None, Tensor]:
    """Step: the AND of each term's inputs. ``inputs`` (k, ..., bytes) are XOR parts; returns (len(terms), ..., bytes).

    Cost: the bits of the inputs, one round; offline a bit for every product of masks.
    """
    products, ways, chosen, places = _plan(terms, inputs.shape[0], p.device)
    fan = chosen.shape[1]
    mask = p.mask(inputs.shape, torch.uint8)

    def multiply(m: Tensor) -> list[Tensor]:
        made = [m]
        for before, last in ways:
            made.append(made[-1][before].bitwise_and_(m[last]))
        return [torch.cat(made[1:])]

    opening = p.open(inputs, mask, None)
    dealing = p.deal([mask], Output((products, *inputs.shape[1:]), torch.uint8), multiply)
    yield opening
    yield dealing
    dealt = dealing.mask
    if p.virtual:
        return outline((len(terms), *inputs.shape[1:]), torch.uint8)
    public = cast(Tensor, opening.value)
    out = mask.share.new_empty((len(terms), *public.shape[1:]))
    for cut in p.memory.blocks(public.shape[-1], (len(terms) << fan) * public[0, ..., 0].numel()):
        one = torch.full_like(public[:1, ..., cut], 255)
        bank = [p.public(torch.zeros_like(one)), p.public(one)]
        value = torch.cat([*bank, mask.share[..., cut], dealt.share[..., cut]])[places]
        known = torch.cat([public[..., cut], one])[chosen]
        for i in reversed(range(fan)):
            # the subsets without input i, times its public value, and those with it
            half = 1 << i
            value = (value[:, :half] & known[:, i : i + 1]).bitwise_xor_(value[:, half:])
        out[..., cut] = value[:, 0]
    return out


def node(p: Engine, less: Tensor, equal: Tensor, *, last: bool) -> Generator[Any, None, tuple[Tensor, Tensor]]:
    """Step: join digits (fan, ...), most significant first, into one 'less' and one 'equal' (not for the last node)."""
    fan = less.shape[0]
    equals = fan - 1 if last else fan
    terms = [(*range(j), equals + j - 1) for j in range(1, fan)]
    if not last:
        terms.append(tuple(range(fan)))
    inputs = p.part((equals + fan - 1, *less.shape[1:]), lambda: torch.cat([equal[:equals], less[1:]]), torch.uint8)
    out = yield from conjunctions(p, inputs, tuple(terms))
    if p.virtual:
        return out[0], out[0]
    result = less[0] ^ out[0]
    for j in range(1, fan - 1):
        result ^= out[j]
    return result, out[-1]


def join_digits(p: Engine, less: Tensor, equal: Tensor, fan: int) -> Generator[Any, None, Tensor]:
    """Step: [a < b] from digitwise 'less' and 'equal' (digits, ..., bytes), most significant digit first.

    ``fan``: digits that one node joins.
    """
    while less.shape[0] > fan:
        odd = less.shape[0] % fan
        groups = less.shape[0] // fan
        short: list[Tensor] = []
        if odd > 1:
            # The ragged group at the top runs beside the full ones, in the same round.
            ragged = p.ahead(node(p, less[:odd], equal[:odd], last=False))
        elif odd:
            short = [less[:1], equal[:1]]
        tail = (groups, fan, *less.shape[1:])
        inner_less = less[odd:].reshape(tail).transpose(0, 1)
        inner_equal = equal[odd:].reshape(tail).transpose(0, 1)
        joined_less, joined_equal = yield from node(p, inner_less, inner_equal, last=False)
        if odd > 1:
            yield ragged
            short = [one.unsqueeze(0) for one in ragged.result]
        if short:
            shape = (groups + 1, *joined_less.shape[1:])
            less = p.part(shape, lambda a=short[0], b=joined_less: torch.cat([a, b]), torch.uint8)  # type: ignore[misc]
            equal = p.part(shape, lambda a=short[1], b=joined_equal: torch.cat([a, b]), torch.uint8)  # type: ignore[misc]
        else:
            less, equal = joined_less, joined_equal
    if less.shape[0] == 1:
        return less[0]
    result, _ = yield from node(p, less, equal, last=True)
    return result


def join_equal(p: Engine, equal: Tensor, fan: int) -> Generator[Any, None, Tensor]:
    """Step: AND over the first axis: the bits in, ceil(log) rounds to the base of the fan."""
    while (count := equal.shape[0]) > 1:
        equal = yield from conjunctions(p, equal, terms(count, fan))
    return equal[0]


def terms(count: int, fan: int) -> tuple[tuple[int, ...], ...]:
    """Return ``count`` places in as few groups of at most ``fan`` as there can be, of about equal size."""
    groups = -(-count // fan)
    ends = [count * k // groups for k in range(groups + 1)]
    return tuple(tuple(range(a, b)) for a, b in pairwise(ends))
