"""One function per aten operation, by family. Importing this package fills `mpc.lookup.OPERATIONS`."""

from mpc.ops import (
    activation,
    attention,
    compare,
    create,
    indexing,
    linear,
    loss,
    norm,
    optim,
    pointwise,
    pool,
    reduce,
    rounding,
    smooth,
    sort,
    views,
)

__all__ = [
    "activation",
    "attention",
    "compare",
    "create",
    "indexing",
    "linear",
    "loss",
    "norm",
    "optim",
    "pointwise",
    "pool",
    "reduce",
    "rounding",
    "smooth",
    "sort",
    "views",
]
