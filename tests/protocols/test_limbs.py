"""Exact products modulo 2^64: every kernel against Python's integers, at extreme values and across its blocks."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import limbs, ring
from protocols.limbs import EDGE, FLOAT, INT8, KERNELS

WORD = 1 << 64
EXTREME = [0, 1, -1, -(2**63), 2**63 - 1, *(2**i for i in (7, 8, 21, 22, 43, 44, 62)), *(-(2**i) for i in (8, 22, 44))]
EXTREME += [0x7F7F7F7F7F7F7F7F, 0x8080808080808080 - WORD, 0x7FFFFFFFFFFFFF80, (1 << 21) | (1 << 43)]


def int32_product(x, y):
    """What torch._int_mm promises, on every CPU; refuses the shapes that cuBLAS refuses."""
    for one in (x, y.transpose(-2, -1)):
        assert one.dtype == torch.int8
        assert one.shape[-2] >= EDGE
        assert one.shape[-2] % 8 == one.shape[-1] % 8 == 0
        assert one.shape[-1] <= INT8.longest
    return torch.matmul(x.to(torch.int32), y.to(torch.int32))


def exact_on_this_cpu():
    """Whether this CPU multiplies int8 without saturation (oneDNN needs VNNI for that)."""
    x = torch.full((EDGE, 64), -128, dtype=torch.int8)
    return bool((torch._int_mm(x, x.t()) == 64 << 14).all())


EVERY = {**KERNELS, "int8, any CPU": dataclasses.replace(INT8, multiply=int32_product).matmul}
if not exact_on_this_cpu():
    del EVERY["int8"]


def by_hand(a, b):
    rows, inner, columns = len(a), len(b), len(b[0])
    return [[sum(a[i][k] * b[k][j] for k in range(inner)) % WORD for j in range(columns)] for i in range(rows)]


def unsigned(x):
    return [[v % WORD for v in row] for row in x.tolist()]


numbers = st.one_of(st.sampled_from(EXTREME), st.integers(-(2**63), 2**63 - 1))


@st.composite
def matrices(draw):
    m, k, n = (draw(st.integers(1, 6)) for _ in range(3))
    rows = lambda r, c: draw(st.lists(st.lists(numbers, min_size=c, max_size=c), min_size=r, max_size=r))  # noqa: E731
    return rows(m, k), rows(k, n)


@pytest.mark.parametrize("kernel", EVERY)
@given(matrices())
@settings(max_examples=150, deadline=None)
def test_products_modulo_the_word(kernel, pair):
    a, b = pair
    got = EVERY[kernel](torch.tensor(a), torch.tensor(b))
    assert got.dtype == torch.int64
    assert unsigned(got) == by_hand(a, b)


@pytest.mark.parametrize("kernel", EVERY)
@pytest.mark.parametrize("value", EXTREME)
@pytest.mark.parametrize("other", [-(2**63), -1, 0x7F7F7F7F7F7F7F7F, (1 << 21) | (1 << 43)])
def test_long_sums_of_extreme_values(kernel, value, other):
    """5,000 is beyond the longest sum that float64 holds, and eight times that has 40,000 digits of int8."""
    k = 5000
    got = EVERY[kernel](torch.full((2, k), value), torch.full((k, 3), other))
    assert unsigned(got) == [[k * value * other % WORD] * 3] * 2


@pytest.mark.parametrize("kernel", [name for name in EVERY if name != "int64"])
def test_the_longest_sum_of_int8_and_one_more(kernel):
    """-128 * -128 summed 2^17 times would be 2^31, which int32 does not hold."""
    worst = 0x7F7F7F7F7F7F7F80  # every digit is -128
    assert [int(d) for d in limbs._split8(torch.tensor([[worst]]), False)[0].reshape(8, -1)[:, 0]] == [-128] * 8
    for k in (INT8.longest // 8 + 1, INT8.longest + 1):
        got = EVERY[kernel](torch.full((1, k), worst), torch.full((k, 1), worst))
        assert unsigned(got) == [[k * worst * worst % WORD]]


def test_the_bounds_of_the_kernels():
    """Digits of the largest magnitude, summed as long as is allowed, still fit; once more they might not."""
    for kernel, room in ((FLOAT, 2**53), (INT8, 2**31 - 1)):
        largest = 1 << (kernel.bits - 1)
        assert kernel.longest * largest**2 <= room
        assert kernel.bits * kernel.count >= 64
        words = torch.tensor([EXTREME])
        digits = kernel.split(words, False).reshape(
            -1, kernel.count, kernel.split(words, False).shape[-1] // kernel.count
        )
        back = sum(int(d) << kernel.bits * i for i, d in enumerate(digits[0, :, 1].to(torch.int64)))
        assert back % WORD == EXTREME[1] % WORD
        assert float(digits.to(torch.float64).abs().max()) <= largest
        flipped = kernel.split(words, True).reshape(digits.shape)
        assert torch.equal(flipped.flip(1), digits)


SHAPES = [
    ((5,), (5,)),
    ((3, 5), (5,)),
    ((5,), (5, 4)),
    ((5,), (2, 5, 3)),
    ((2, 3, 5), (5,)),
    ((2, 3, 5), (5, 4)),
    ((3, 5), (2, 5, 4)),
    ((2, 1, 3, 5), (4, 5, 6)),
    ((0, 5), (5, 2)),
    ((3, 0), (0, 2)),
    ((3, 2, 0), (0, 2)),
    ((0, 2, 3), (0, 3, 2)),
    ((40, 70), (70, 33)),
    ((7, 33, 20), (7, 20, 3)),
]


@pytest.mark.parametrize("kernel", EVERY)
@pytest.mark.parametrize("shapes", SHAPES)
def test_shapes_are_those_of_torch(kernel, shapes):
    torch.manual_seed(0)
    a, b = (torch.randint(-(2**63), 2**63 - 1, shape) for shape in shapes)
    got, want = EVERY[kernel](a, b), torch.matmul(a, b)
    assert got.shape == want.shape
    assert torch.equal(got, want)


def test_sizes_that_do_not_fit_are_refused():
    for kernel in (FLOAT, INT8):
        with pytest.raises(ValueError, match="equal inner sizes"):
            kernel.matmul(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(4, 2, dtype=torch.int64))


def integers(x):
    """A tensor of Python's integers: torch's own convolutions do not take int64."""
    return x.to(torch.float64)


@pytest.mark.parametrize("kernel", EVERY)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_and_their_gradients(monkeypatch, kernel, groups, transposed):
    """Of values so small that float64 holds the results; and, at full size, equal to torch's own int64 products."""
    torch.manual_seed(1)
    stride, padding, dilation = (2, 1), (1, 2), (1, 1)
    op = ring.convolution_op(stride, padding, dilation, transposed, (0, 0), groups)
    function = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d

    def operands(bits):
        x = torch.randint(-(2**bits), 2**bits - 1, (3, 4, 7, 6))
        return x, torch.randint(-(2**bits), 2**bits - 1, (4, 6 // groups if transposed else 4 // groups, 3, 3))

    def everything(x, w, g):
        rest = (stride, padding, dilation, transposed, groups)
        gx = ring.convolution_input_op(x.shape, *rest).apply(g, w)
        gw = ring.convolution_weight_op(w.shape, *rest).apply(g, x)
        return op.apply(x, w), gx, gw

    monkeypatch.setattr(limbs, "matmul", EVERY[kernel])
    x, w = operands(15)
    X, W = integers(x).requires_grad_(), integers(w).requires_grad_()
    y = function(X, W, stride=stride, padding=padding, dilation=dilation, groups=groups)
    g = torch.randint(-(2**15), 2**15 - 1, tuple(y.shape))
    want = y.detach(), *torch.autograd.grad(y, (X, W), integers(g))
    for found, wanted in zip(everything(x, w, g), want, strict=True):
        assert torch.equal(found, wanted.to(torch.int64))
    x, w = operands(63)
    g = torch.randint(-(2**63), 2**63 - 1, tuple(y.shape))
    found = everything(x, w, g)
    monkeypatch.setattr(limbs, "matmul", torch.matmul)
    for one, other in zip(found, everything(x, w, g), strict=True):
        assert torch.equal(one, other)


def test_the_choice_is_measured_once_and_is_a_kernel():
    limbs.fastest.cache_clear()
    cpu = torch.device("cpu")
    assert limbs.fastest(cpu) in {"int64", "float64"}
    assert limbs.fastest(cpu) == limbs.fastest(cpu)
    assert limbs.fastest.cache_info().misses == 1


def test_a_kernel_that_is_refused_or_wrong_is_not_chosen(monkeypatch):
    def refused(a, b):
        raise RuntimeError("not implemented on this device")

    for bad in (refused, lambda a, b: torch.zeros(a.shape[0], b.shape[1], dtype=torch.int64)):
        monkeypatch.setitem(KERNELS, "int64", bad)
        limbs.fastest.cache_clear()
        assert limbs.fastest(torch.device("cpu")) == "float64"
    limbs.fastest.cache_clear()


def test_large_products_go_through_the_choice(monkeypatch):
    torch.manual_seed(2)
    a, b = torch.randint(-(2**63), 2**63 - 1, (80, 70)), torch.randint(-(2**63), 2**63 - 1, (70, 80))
    want = ring.matmul(a, b)
    monkeypatch.setattr(limbs, "fastest", lambda device: "float64")
    seen = []
    monkeypatch.setitem(KERNELS, "float64", lambda x, y: seen.append(x.shape) or FLOAT.matmul(x, y))
    assert torch.equal(ring.matmul(a, b), want)
    assert seen == [a.shape]
    assert ring.matmul(a[:2], b).shape == (2, 80)  # small ones do not
    assert seen == [a.shape]
