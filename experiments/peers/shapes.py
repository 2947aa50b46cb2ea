"""What is measured: rows with the shapes that both systems get. Knows neither of them."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: what is measured.
        shapes: of the operands; of the batch, if a model is trained.
        model: "logistic", "mlp" or "lenet" for a training step, otherwise empty.
        loss: whether the value of the loss is computed too, beside its gradient.
    """

    title: str
    shapes: tuple[Shape, ...]
    model: str = ""
    loss: bool = False


_LARGE, _MANY = (1_000_000,), (100_000,)

ROWS: dict[str, Row] = {
    "product": Row("product, 1 M", (_LARGE, _LARGE)),
    "matmul": Row("matmul 256 cubed", ((256, 256), (256, 256))),
    "less": Row("x < y, 100 k", (_MANY, _MANY)),
    "relu": Row("ReLU, 100 k", (_MANY,)),
    "exp": Row("exp, 100 k", (_MANY,)),
    "sigmoid": Row("sigmoid, 100 k", (_MANY,)),
    "reciprocal": Row("1/x, 100 k", (_MANY,)),
    "softmax": Row("softmax 1000×10", ((1000, 10),)),
    "conv": Row("conv 32×1×28×28, 6 of 5×5", ((32, 1, 28, 28), (6, 1, 5, 5))),
    "maxpool": Row("max-pool 2, 32×6×24×24", ((32, 6, 24, 24),)),
    "logistic": Row("step, logistic regression 30, batch 128", ((128, 30),), "logistic"),
    "logistic-loss": Row("the same, with the value of the loss", ((128, 30),), "logistic", loss=True),
    "mlp": Row("step, MLP 784-128-128-10, batch 128", ((128, 784),), "mlp"),
    "mlp-loss": Row("the same, with the value of the loss", ((128, 784),), "mlp", loss=True),
    "lenet": Row("step, LeNet 28×28, batch 32", ((32, 1, 28, 28),), "lenet"),
    "lenet-loss": Row("the same, with the value of the loss", ((32, 1, 28, 28),), "lenet", loss=True),
}


def shapes(name: str, *, tiny: bool) -> tuple[Shape, ...]:
    """The shapes of a row; ``tiny``: with few rows, for tests."""
    found = ROWS[name].shapes
    if not tiny:
        return found
    if name in {"matmul", "conv"}:
        return ((2, *found[0][1:]), *found[1:])
    return tuple((min(one[0], 4), *one[1:]) for one in found)
