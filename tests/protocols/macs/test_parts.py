"""What torch does to parts it does to values and MACs as to plain tensors; what is not linear is refused."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from protocols import ring
from protocols.macs import wide
from protocols.macs.keys import Key
from protocols.macs.linear import TAG, Bits, Words
from protocols.macs.parts import NotLinearError

WHOLE = (-(2**63), 2**63 - 1)


def words(shape):
    return Words(torch.randint(0, 1 << 26, (wide.COUNT, 2, *shape)))


def bits(shape):
    return Bits(torch.randint(0, 256, (1 + TAG, *shape), dtype=torch.uint8))


def public(*shape):
    return torch.randint(*WHOLE, shape)


def agree(function, *parts):
    """The function of parts has in every plane what the function of the planes is (of words modulo 2^64)."""
    got = function(*(type(x)(x.planes.clone()) for x in parts))
    if isinstance(got, Bits):
        for k in (0, 1, TAG):
            assert torch.equal(got.planes[k], function(*(x.planes[k].clone() for x in parts)))
        return
    assert bool((got.planes >> wide.LIMB == 0).all()), "limbs are carried"
    for k in range(2):
        want = function(*(wide.low(x.planes[:, k]) for x in parts))
        assert got.shape == want.shape
        assert torch.equal(wide.low(got.planes[:, k]), want)


MOVES = {
    "views": lambda x: x.reshape(-1, 2).t()[1:].unsqueeze(0).squeeze(0),
    "expand": lambda x: x.movedim(1, 0).expand(2, 4, 3).flatten(0, 1),
    "index": lambda x: x[:, torch.tensor([1, 3, 0])][torch.tensor([[0, 1], [2, 2]])],
    "pad": lambda x: F.pad(x, (1, 2)).flip(0),
    "strided": lambda x: x[1:].as_strided((2, 2), (1, 2), 1) if type(x) is not torch.Tensor else
    x[1:].contiguous().clone().as_strided((2, 2), (1, 2), 1),
    "repeat": lambda x: x.repeat(2, 3).roll(1, 0),
    "gather": lambda x: x.gather(1, torch.tensor([[1], [2], [0]])),
    "diagonal": lambda x: x.diagonal(),
    "triangle": lambda x: x.tril(),
    "fill": lambda x: x.masked_fill(torch.tensor([True, False, False, True]), 0),
    "select": lambda x: x[0, 0].index_select(0, torch.tensor([0])),
    "split": lambda x: torch.cat([x.split(2, 1)[1], x.unbind(1)[0].unsqueeze(1)], 1),
    "scatter": lambda x: torch.as_strided_scatter(x, x[0, :2].clone(), (2,), (3,), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("kind", [words, bits])
def test_moves(name, kind):
    agree(MOVES[name], kind((3, 4)))


def test_sums_and_public_factors():
    a, b, row = words((3, 4)), words((3, 4)), words((4,))
    for function in (
        lambda x, y: torch.cat([x, y], 1) * 3 - torch.stack([y, y])[0].sum(1, keepdim=True),
        lambda x, y: (x - y).cumsum(1).sum(),
        lambda x, y: x.clone().add_(y).sub_(y[0]).neg_(),
        lambda x, y: x.index_add(0, torch.tensor([0, 2, 2]), y),
        lambda x, y: x.scatter_add(1, torch.tensor([[1, 1]] * 3), y),
        lambda x, y: (x << 3) + (y << torch.tensor([0, 5, 62, 63])),
    ):
        agree(function, a, b)
    factor = public(3, 4)
    agree(lambda x: x * factor, row)
    agree(lambda x: factor * x, words((2, 3, 4)))
    agree(lambda x: x.clone().mul_(factor), a)
    for number in (-1, 0, 1 << 40, -(1 << 63)):
        agree(lambda x, n=number: x * n, a)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((3, 4), (4,)), ((3, 4), (2, 4, 5)), ((4,), (4,)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4, 5))],
)
def test_matrix_products(left, right):
    a, b = public(*left), public(*right)
    agree(lambda x: ring.matmul(a, x), words(right))
    agree(lambda x: ring.matmul(x, b), words(left))


@pytest.mark.parametrize(("transposed", "groups"), list(itertools.product((False, True), (1, 2))))
def test_convolutions_and_their_gradients(transposed, groups):
    x, rest = (2, 4, 6, 5), ((2, 1), (1, 2), (1, 1), transposed)
    w = (4, 6 // groups if transposed else 4 // groups, 3, 3)
    op = ring.convolution_op(*rest, (0, 0), groups)
    px, pw = public(*x), public(*w)
    y = op.apply(px, pw).shape
    py = public(*y)
    to_input = ring.convolution_input_op(x, *rest, groups)
    to_weight = ring.convolution_weight_op(w, *rest, groups)
    for one, (a, b), (pa, pb) in (
        (op, (x, w), (px, pw)), (to_input, (y, w), (py, pw)), (to_weight, (y, x), (py, px)),
    ):  # fmt: skip
        agree(lambda part, one=one, pb=pb: one.apply(part, pb), words(a))
        agree(lambda part, one=one, pa=pa: one.apply(pa, part), words(b))


REFUSED = [
    lambda x: x + 1, lambda x: x + public(3, 4), lambda x: public(3, 4) - x, lambda x: x * x, lambda x: x >> 3,
    lambda x: x < 0, lambda x: x & 1, lambda x: x * 1.5, lambda x: x.to(torch.int32), lambda x: x @ x.t(),
    lambda x: torch.cat([x, public(3, 4)]), lambda x: F.pad(x, (1, 0), value=1), lambda x: x.masked_fill(x == 0, 1),
    lambda x: public(3, 4).copy_(x), lambda x: x.abs(), lambda x: x.max(), lambda x: x // 2, lambda x: x.float(),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(REFUSED)))
def test_what_is_not_linear_is_refused(place):
    with pytest.raises(NotLinearError):
        REFUSED[place](words((3, 4)))


@pytest.mark.parametrize("shapes", [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((3, 4), (5, 4, 2))])
def test_matrix_products_within_a_dispatched_operation(shapes):
    """There torch does not take them apart by itself."""
    number, part = public(*shapes[0]), words(shapes[1])
    with torch._C._AutoDispatchBelowAutograd():
        got = torch.matmul(number, part)
    assert torch.equal(got.planes, torch.matmul(number, part).planes)


def test_bits():
    x, y, known = bits((3, 4)), bits((3, 4)), torch.randint(0, 256, (4,), dtype=torch.uint8)
    agree(lambda a, b: (a ^ b) & known, x, y)
    agree(lambda a, b: a.clone().bitwise_xor_(b).bitwise_and_(known), x, y)
    for refused in (lambda b: b & y, lambda b: b ^ known, lambda b: ~b, lambda b: b | known):
        with pytest.raises(NotLinearError):
            refused(x)


def test_public_values_have_the_keys_macs():
    keys = [Key(3, 0b1011, first=True), Key((1 << 40) - 1, 0b0110, first=False)]
    alpha, delta = 2 + (1 << 40), 0b1101
    value = torch.tensor([0, 5, -7, -(2**63)])
    parts = [key.words(value).planes for key in keys]
    total = wide.carried(parts[0] + parts[1])
    assert wide.low(total[:, 0]).tolist() == value.tolist()
    assert wide.integers(total[:, 1]) == [alpha * int(v) % (1 << 104) for v in value]
    known = torch.tensor([0, 1, 255], dtype=torch.uint8)
    one, other = (key.bits(known).planes for key in keys)
    assert torch.equal((one ^ other)[0], known)
    for k in range(TAG):
        assert torch.equal((one ^ other)[1 + k], known * (delta >> k & 1))
