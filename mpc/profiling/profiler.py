"""Profiler: tells a Recorder where in the program its rank is: part, module, operation."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Module

from mpc.profiling.places import Paths, Place, Tape
from parties import Counts
from protocols.recorder import Recorder

_current_node: Callable[[], Any] = torch._C._current_autograd_node

Before = tuple[int, float, float]
"""Where the rank was, the second, and how long it had waited until then."""


class Profiler:
    """One session's, from its first profile on. Used by `mpc.dispatch`, `Session` and the hooks of modules.

    Attributes:
        recorder: keeps the account.
        places: by the numbers that the recorder has for them; number 0 is the program itself.
        users: how many profiles there are now.
        clock: names the clock of this process.
    """

    clock = os.urandom(8).hex()

    def __init__(self, rank: int, computing: int, counts: Counts) -> None:
        self.recorder = Recorder(rank, computing)
        self.places = [Place()]
        self._numbers = {Place(): 0}
        self._wheres: dict[tuple[str, str], dict[Any, int]] = {}
        self.users = 0
        self._paths, self._tape = Paths(), Tape()
        self.recorder.earlier(counts, self.number(Place("setup")))
        self.resume()

    def resume(self) -> None:
        """Begin again after nothing was told for a while."""
        self.recorder.resume()
        self._inside = False
        self._backward = False
        self._tape.mark("")
        self._modules: list[tuple[str, int, str]] = []
        self._optimizers: list[tuple[int, int, str]] = []
        self._part, self._module = "other", ""

    def number(self, place: Place) -> int:
        """The number of a place, which is new if it is the first time."""
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = len(self.places)
            self.places.append(place)
        return found

    def _where(self, part: str, module: str, func: Any = None) -> int:
        """The recorder's number for a place; ``func``: an aten operation."""
        table = self._wheres.get((part, module))
        if table is None:
            table = self._wheres[part, module] = {}
        found = table.get(func)
        if found is None:
            op = "" if func is None else str(func.overloadpacket)
            found = table[func] = self.recorder.number(self.number(Place(part, module, op)))
        return found

    # Operations -----------------------------------------------------------------------------------------------------

    def begin(self, func: Any) -> Before | None:
        """An operation begins; what is returned goes to `end`. Operations within one count for it."""
        if self._inside:
            return None
        self._inside = True
        part, module = self._part, self._module
        node = _current_node()
        if node is None:
            if self._backward:
                self._end_backward()
            if self._tape.mark(module) and part == "other" and torch.is_grad_enabled():
                part = "forward"  # outside modules, as losses often are
        else:
            if not self._backward:
                self._begin_backward()
            part = "backward"
            if not self._modules:
                module = self._of_node(node)
            self._tape.mark(module)
        recorder = self.recorder
        where = self._where(part, module, func)
        recorder.work[where].calls += 1
        return recorder.enter(where), recorder.ended, recorder.waited

    def end(self, before: Before | None) -> None:
        """It is over."""
        if before is not None:
            self._inside = False
            self.recorder.operation(before[1], before[2])
            self.recorder.enter(before[0])

    # Backward -------------------------------------------------------------------------------------------------------

    def _of_node(self, node: Any) -> str:
        parameter = getattr(node, "variable", None)
        return self._tape.of(node._sequence_nr()) if parameter is None else self._paths.of_parameter(parameter)

    def _begin_backward(self) -> None:
        """A backward pass has begun; until it ends, what is no operation counts for it."""
        self._backward = True
        where = self._where("backward", "")
        self.recorder.work[where].calls += 1
        self._base = self.recorder.enter(where)
        torch.autograd.Variable._execution_engine.queue_callback(self._end_backward)

    def _end_backward(self) -> None:
        if self._backward:
            self._backward = False
            self.recorder.enter(self._base)

    # Parts ----------------------------------------------------------------------------------------------------------

    def enter(self, part: str) -> tuple[int, str, str]:
        """A part of the program begins that is no module; what is returned goes to `leave`."""
        before = self._part, self._module
        self._part, self._module = part, ""
        where = self._where(part, "")
        self.recorder.work[where].calls += 1
        return self.recorder.enter(where), *before

    def leave(self, before: tuple[int, str, str]) -> None:
        """It is over."""
        self._part, self._module = before[1:]
        self.recorder.enter(before[0])

    def enters(self, module: Module) -> None:
        """A module is called."""
        if _current_node() is None and self._backward:
            self._end_backward()
        self._tape.mark(self._module)
        outer = self._modules[-1][2] if self._modules else None
        path = self._paths.of(module, outer)
        part = "backward" if self._backward else "forward"
        where = self._where(part, path)
        self.recorder.work[where].calls += 1
        self._modules.append((self._part, self.recorder.enter(where), path))
        self._part, self._module = part, path

    def leaves(self) -> None:
        """It returns, or raised an error."""
        if not self._modules:
            return  # it was called before the profile began
        self._tape.mark(self._module)
        self._part, where, _ = self._modules.pop()
        self._module = self._modules[-1][2] if self._modules else ""
        self.recorder.enter(where)

    def steps(self, optimizer: Any) -> None:
        """An optimiser's step begins."""
        if self._optimizers and self._optimizers[-1][0] == id(optimizer):
            self._optimizers.pop()  # its last step raised an error
        self._optimizers.append((id(optimizer), *self.enter("optimizer")[:2]))

    def stepped(self, optimizer: Any) -> None:
        """It is over."""
        if self._optimizers and self._optimizers[-1][0] == id(optimizer):
            _, where, part = self._optimizers.pop()
            self.leave((where, part, ""))
