"""The rows: one small program each, the same for real processes and for the planner.

A row prepares shared tensors and returns the function to be counted, which gives back the tensors that have to be
there at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import mpc
from protocols.base import Cost
from protocols.costs import COSTS, matmul

Work = Callable[[], list[Tensor]]
Prepare = Callable[[mpc.Session], Work]

N = 1000
"""Elements of the rows that are counted by the element."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: what is counted.
        prepare: makes the inputs and returns the work.
        elements: bytes are shown divided by this number; 1 for a whole.
        declared: what `protocols.costs` says for two parties, where it has a formula.
        rescaled: whether results that carry surplus fraction bits are rescaled within the count.
    """

    title: str
    prepare: Prepare
    elements: int = 1
    declared: Cost | None = None
    rescaled: bool = True


def given(session: mpc.Session, *shape: int, owner: int = 0, low: float = 0.5, high: float = 2.0) -> Tensor:
    """A secret tensor that the owner fills with uniform numbers. It is there: no opening of it is left for the row."""
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(owner))
    data = numbers * (high - low) + low if session.rank == owner else None
    return _there(session, session.share(data, owner, shape=shape))


def _there(session: mpc.Session, x: Tensor) -> Tensor:
    session.settle([x])
    return x


def computed(session: mpc.Session, *shape: int, owner: int = 0, low: float = 0.5, high: float = 2.0) -> Tensor:
    """A secret tensor that nobody knows, as after an operation; an input is known to its owner, and costs less."""
    return given(session, *shape, owner=owner, low=low, high=high).unsqueeze(0).sum(0)


def given_classes(session: mpc.Session, n: int, classes: int) -> Tensor:
    """Secret one-hot labels of rank 1."""
    data = nn.functional.one_hot(torch.arange(n) % classes, classes).float() if session.rank == 1 else None
    return _there(session, session.share(data, 1, shape=(n, classes)))


def unary(function: Callable[[Tensor], Tensor], *shape: int) -> Prepare:
    """A function of one fresh secret."""

    def prepare(session: mpc.Session) -> Work:
        x = computed(session, *(shape or (N,)))
        return lambda: [function(x)]

    return prepare


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Prepare:
    """A function of two fresh secrets of different owners."""

    def prepare(session: mpc.Session) -> Work:
        x, y = computed(session, N), computed(session, N, owner=1)
        return lambda: [function(x, y)]

    return prepare


def relu_of_product(session: mpc.Session) -> Work:
    """ReLU of a product that is not rescaled yet, as after a layer."""
    z = computed(session, N) * computed(session, N, owner=1)
    session.settle([z])
    return lambda: [torch.relu(z)]


def product(once_open: bool) -> Prepare:
    """128×784 by 784×128, inputs of two owners; the second time both operands are in masked form already."""

    def prepare(session: mpc.Session) -> Work:
        x, w = given(session, 128, 784), given(session, 784, 128, owner=1, high=0.6)
        if once_open:
            session.settle([x @ w])
        return lambda: [x @ w]

    return prepare


def product_open(session: mpc.Session) -> Work:
    """An elementwise product of operands that are in masked form already."""
    x, y = computed(session, N), computed(session, N, owner=1)
    session.settle([x * y])
    return lambda: [x * y]


def batch_norm(session: mpc.Session) -> Work:
    """Training mode, secret weight and bias: output, and the gradients of input, weight and bias."""
    layer = session.share_module(nn.BatchNorm1d(100))
    x, upstream = computed(session, 128, 100).detach().requires_grad_(), computed(session, 128, 100, owner=1)

    def work() -> list[Tensor]:
        y = layer(x)
        y.backward(upstream)
        return [y, x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var]

    return work


def cross_entropy(session: mpc.Session) -> Work:
    """Value and gradient."""
    x, y = computed(session, 128, 10).detach().requires_grad_(), given_classes(session, 128, 10)

    def work() -> list[Tensor]:
        loss = nn.functional.cross_entropy(x, y)
        loss.backward()
        return [loss, x.grad]

    return work


def adam(session: mpc.Session) -> Work:
    """A later step: moments are secret."""
    weight = computed(session, 1000).detach().requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=0.01)
    weight.grad = computed(session, 1000, owner=1)
    optimizer.step()
    session.settle([weight])
    weight.grad = computed(session, 1000, owner=1)

    def work() -> list[Tensor]:
        optimizer.step()
        return [weight]

    return work


def logistic() -> nn.Module:
    """Logistic regression on 30 columns."""
    return nn.Linear(30, 1)


def mlp() -> nn.Module:
    """A perceptron 784-128-128-10."""
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet() -> nn.Module:
    """LeNet on 28 × 28: two convolutions of 5 × 5 with ReLU and max-pooling, three linear layers."""
    convolutions = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    linear = [nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *linear)


def training(make: Callable[[], nn.Module], *shape: int, again: bool = False) -> Prepare:
    """The second step of SGD; the value of the loss is asked of nobody. ``again``: on a batch that was seen before."""

    def prepare(session: mpc.Session) -> Work:
        model = session.share_module(make())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        binary_loss = make is logistic
        loss = nn.functional.binary_cross_entropy_with_logits if binary_loss else nn.functional.cross_entropy

        def step(x: Tensor, y: Tensor) -> list[Tensor]:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
            return list(model.parameters())

        def batch() -> tuple[Tensor, Tensor]:
            n = shape[0]
            y = given(session, n, 1, owner=1, low=0, high=1) if binary_loss else given_classes(session, n, 10)
            return given(session, *shape), y

        x, y = batch()
        session.settle(step(x, y))
        if not again:
            x, y = batch()
        return lambda: step(x, y)

    return prepare


_PRODUCT, _OUTPUT = matmul(128, 784, 128), COSTS["rescale"](128 * 128)
_FIRST = Cost(_PRODUCT.bytes // 2 + _OUTPUT.bytes, 2, _PRODUCT.offline + _OUTPUT.offline)  # each owner opens its own
_REPEATED = Cost(COSTS["rescale"](N).bytes, 1, COSTS["multiply and rescale"](N).offline)
_LESS, _NUMBER = COSTS["negative"](N), COSTS["integer"](N)
_LESS_NUMBER = Cost(_LESS.bytes + _NUMBER.bytes, _LESS.rounds + _NUMBER.rounds, _LESS.offline + _NUMBER.offline)
_OPEN = Cost(_OUTPUT.bytes, 1, _FIRST.offline)

ROWS: dict[str, Row] = {
    "product": Row("x · y, rescaled", binary(torch.mul), N, COSTS["multiply and rescale"](N)),
    "product-open": Row("x · y of operands that are open, rescaled", product_open, N, _REPEATED),
    "less": Row("x < y", binary(torch.lt), N, COSTS["negative"](N)),
    "less-number": Row("x < y as a number", binary(lambda x, y: (x < y).float()), N, _LESS_NUMBER),
    "relu": Row("ReLU of a product, truncation included", relu_of_product, N, COSTS["rescale and relu"](N)),
    "exp": Row("exp", unary(torch.exp), N, COSTS["exp"](N)),
    "sigmoid": Row("sigmoid", unary(torch.sigmoid), N, COSTS["sigmoid"](N)),
    "reciprocal": Row("1/x, of either sign", unary(torch.reciprocal), N),
    "softmax": Row("softmax, 1000 × 10", unary(lambda x: torch.softmax(x, 1), 1000, 10), 10_000),
    "matmul": Row("128×784 by 784×128, first time", product(False), 1, _FIRST),
    "matmul-open": Row("128×784 by 784×128, once open", product(True), 1, _OPEN),
    "maxpool": Row("max-pool 2, 32×6×24×24", unary(lambda x: nn.functional.max_pool2d(x, 2), 32, 6, 24, 24)),
    "batch-norm": Row("batch norm 128 × 100, forward and backward", batch_norm),
    "cross-entropy": Row("cross-entropy 128 × 10, value and gradient", cross_entropy),
    "adam": Row("Adam step, 1,000 parameters", adam),
    "logistic": Row("SGD step, logistic regression 128 × 30", training(logistic, 128, 30)),
    "logistic-again": Row("the same, of a batch seen before", training(logistic, 128, 30, again=True)),
    "mlp": Row("SGD step, MLP 784-128-128-10, batch 128", training(mlp, 128, 784)),
    "mlp-again": Row("the same, of a batch seen before", training(mlp, 128, 784, again=True)),
    "lenet": Row("SGD step, LeNet 28 × 28, batch 32", training(lenet, 32, 1, 28, 28)),
}
