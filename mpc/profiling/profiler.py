"""Profiler: tells a Recorder where in the program its rank is: part, module, operation."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from protocols.recorder import Recorder


class Place(NamedTuple):
    """A place in the program: "forward" and so on, the path of a module, an aten operation; "" for none."""

    part: str = "other"
    module: str = ""
    op: str = ""


class Profiler:
    """One rank's. Made by `mpc.profile`, used by `mpc.dispatch`.

    Attributes:
        recorder: keeps the account.
        places: by the numbers that the recorder has for them; number 0 is the program itself.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.places = [Place()]
        self._numbers = {Place(): 0}
        self._inside = False

    def number(self, place: Place) -> int:
        """The number of a place, which is new if it is the first time."""
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = len(self.places)
            self.places.append(place)
        return found

    def begin(self, func: Any) -> tuple[int, float] | None:
        """An operation begins; what is returned goes to `end`. Operations within one count for it."""
        if self._inside:
            return None
        self._inside = True
        where = self.recorder.number(self.number(Place(op=str(func))))
        return self.recorder.enter(where), time.perf_counter()

    def end(self, before: tuple[int, float] | None) -> None:
        """It is over."""
        if before is not None:
            self._inside = False
            self.recorder.operation(before[1])
            self.recorder.enter(before[0])
