"""Places: which module a rank is in, forward or, by autograd's sequence numbers, backward."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch.nn import Module

_MARKS = 200_000


class Place(NamedTuple):
    """A place in the program: "forward" and so on, the path of a module, an aten operation; "" for none."""

    part: str = "other"
    module: str = ""
    op: str = ""


class Paths:
    """Names of modules, as `named_modules` of the outermost one that was called has them.

    That one itself is its class in parentheses: "(Sequential)". What another outermost module has inside begins with
    its own name, "(Sequential 2).0", except in the first one.
    """

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[Module, str] = WeakKeyDictionary()
        self._parameters: dict[int, str] = {}
        self._kinds: dict[str, int] = {}
        self._first: str | None = None

    def of(self, module: Module, outer: str | None) -> str:
        """The path of a module that is called from another one, None if from none."""
        found = self._names.get(module)
        if found is None:
            if outer is None:
                self._add(module)
            else:
                self._names[module] = f"{outer}.({type(module).__name__})"  # not registered as part of another module
            found = self._names[module]
        return found

    def of_parameter(self, parameter: Any) -> str:
        """The path of the module that has this parameter; "" if none is known."""
        return self._parameters.get(id(parameter), "")

    def _add(self, root: Module) -> None:
        kind = type(root).__name__
        number = self._kinds[kind] = self._kinds.get(kind, 0) + 1
        name = f"({kind})" if number == 1 else f"({kind} {number})"
        before = ""
        modules = [(path, module) for path, module in root.named_modules() if path]
        if modules and self._first is None:
            self._first = name
        elif modules:
            before = f"{name}."
        self._names[root] = name
        for path, module in modules:
            self._names.setdefault(module, before + path)
        for path, parameter in root.named_parameters():
            owner = path.rpartition(".")[0]
            self._parameters[id(parameter)] = before + owner if owner else name


class Tape:
    """Which module made the nodes of autograd's graph that this thread makes: they are numbered in order."""

    def __init__(self) -> None:
        self._starts = [0]
        self._paths = [""]
        self._seen = 0
        self.mark("")

    def mark(self, path: str) -> bool:
        """The nodes since the last call belong to this module; returns whether there are any."""
        now: int = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
        if now == self._seen:
            return False
        if path != self._paths[-1]:
            self._starts.append(self._seen)
            self._paths.append(path)
            if len(self._starts) > _MARKS:
                del self._starts[: _MARKS // 2], self._paths[: _MARKS // 2]
        self._seen = now
        return True

    def of(self, number: int) -> str:
        """The module that made the node of this number; "" if that was before the profile, or outside modules."""
        place = bisect_right(self._starts, number) - 1
        return self._paths[place] if place >= 0 else ""
