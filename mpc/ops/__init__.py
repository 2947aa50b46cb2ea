"""One function per aten operation, by family. Importing this package fills `mpc.lookup.OPERATIONS`."""

from mpc.ops import (
    create,
    linear,
    loss,
    pointwise,
    reduce,
    views,
)

__all__ = ["create", "linear", "loss", "pointwise", "reduce", "views"]
