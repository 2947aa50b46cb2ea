"""Data before it is shared: tables, batches, splits, scaling."""

from mpc.data.batches import batches, permutation
from mpc.data.scaling import Scaling, scaling
from mpc.data.splits import columns_of, rows_of
from mpc.data.tables import Column, Schema, encode, read_table

__all__ = [
    "Column",
    "Scaling",
    "Schema",
    "batches",
    "columns_of",
    "encode",
    "permutation",
    "read_table",
    "rows_of",
    "scaling",
]
