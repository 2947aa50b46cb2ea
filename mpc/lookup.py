"""The table from aten operations to the functions that run them; `mpc.dispatch` reads it, `mpc.ops` fills it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mpc.errors import UnsupportedOperation
from protocols.base import same_cell

Kernel = Callable[..., Any]
AnyKernel = TypeVar("AnyKernel", bound=Kernel)


class Table:
    """Functions by aten overload."""

    def __init__(self) -> None:
        self.kernels: dict[Any, Kernel] = {}
        self.everywhere: dict[Any, Kernel] = {}

    def implements(self, *overloads: Any) -> Callable[[AnyKernel], AnyKernel]:
        """Register a function that runs when an operand is secret; it has the signature of the operation.

        Raises UnsupportedOperation if the operation has one. A function of a notebook takes its own place when its
        cell is run again.

        >>> from mpc.operations import implements, lift, result
        >>> @torch.library.custom_op("example::positive_part", mutates_args=())
        ... def positive_part(x: torch.Tensor) -> torch.Tensor:
        ...     return x.clamp(min=0)
        >>> @implements(torch.ops.example.positive_part.default)
        ... def secret_positive_part(x):
        ...     return result(lift(x).relu(), x.dtype, like=x)
        >>> session.reveal(positive_part(session.share(torch.tensor([-3.0, 3.0]), owner=0)))
        tensor([0., 3.])
        """
        return self._into(self.kernels, overloads)

    def always(self, *overloads: Any) -> Callable[[AnyKernel], AnyKernel]:
        """Register a function that runs for public stores as well."""
        return self._into(self.everywhere, overloads)

    @staticmethod
    def _into(table: dict[Any, Kernel], overloads: tuple[Any, ...]) -> Callable[[AnyKernel], AnyKernel]:
        def register(function: AnyKernel) -> AnyKernel:
            for overload in overloads:
                if overload in table and not same_cell(table[overload], function):
                    raise UnsupportedOperation(f"{overload} is implemented twice")
                table[overload] = function
            return function

        return register


OPERATIONS = Table()
implements = OPERATIONS.implements
always = OPERATIONS.always
