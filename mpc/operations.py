"""The door for operations of your own; EXTENDING.md has a worked example.

`implements` registers a function for an operation of PyTorch, or of a library of yours, on secret tensors. It gets the
operation's arguments, makes a `Value` of each operand with `lift`, computes with operators and methods of `Value`,
which choose the protocol's cheapest way, and wraps what comes out with `result`.
"""

from mpc.lookup import implements
from mpc.ops.common import promote, result
from mpc.value import Value, lift

__all__ = ["Value", "implements", "lift", "promote", "result"]
