"""An oracle of dependencies that knows nothing of protocol steps: it follows openings through torch's operations."""

import threading

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

FRESH = {
    aten.empty_like.default, aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
    aten.new_empty.default, aten.new_zeros.default, aten.new_ones.default, aten.new_full.default,
}  # fmt: skip
"""What takes shape and type of a tensor and not its values."""


class Taint(TorchDispatchMode):
    """Every tensor's openings, as the bits of a number, by the memory that it lies in.

    Memory as a whole is marked, and never cleaned, so that more may be said to depend than does, never less.
    """

    def __init__(self, shared=None):
        super().__init__()
        self.found, self.kept, self.shared = {}, [], shared
        self.parts, self.numbers = [], []

    def of(self, tensor):
        return self.found.get(tensor.untyped_storage()._cdata, 0)

    def mark(self, tensor, bits):
        storage = tensor.untyped_storage()
        if self.found.get(storage._cdata, 0) | bits != self.found.get(storage._cdata, 0):
            self.kept.append(storage)  # so that its address is not used again
            self.found[storage._cdata] = self.found.get(storage._cdata, 0) | bits

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if self.shared is not None and any(isinstance(leaf, self.shared) for leaf in inputs):
            return out  # a shared tensor's own dispatch has followed it
        bits = 0
        for leaf in inputs:
            bits |= self.of(leaf)
        if bits and func not in FRESH:
            outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
            assert outputs or not func._schema.is_mutable, func
            for leaf in outputs:
                self.mark(leaf, bits)
        return out

    def watch(self, scheduler):
        """Note what every opening's part depends on when it is queued, and mark what was opened."""
        queue, exchange = scheduler.queue, scheduler._exchange
        places = {}

        def queued(opening, after=None):
            places[id(opening)] = len(self.parts)
            self.parts.append((opening, self.of(opening.part)))
            queue(opening, after)
            self.numbers.append(opening.after)
            return opening

        def opened(openings):
            exchange(openings)
            for opening in openings:
                self.mark(opening.value, 1 << places[id(opening)])

        scheduler.queue, scheduler._exchange = queued, opened

    def ancestors(self):
        """For every opening in order, those that its part depends on, as a set of places."""
        return [{k for k in range(bits.bit_length()) if bits >> k & 1} for _, bits in self.parts]


def follow_shared_tensors(monkeypatch, kind):
    """Have the operations inside those of a tensor class followed too, on threads with a Taint in `ACTIVE`."""
    dispatch = kind.__torch_dispatch__

    def follow(cls, func, types, args=(), kwargs=None):
        taint = ACTIVE.get(threading.get_ident())
        if taint is None:
            return dispatch(func, types, args, kwargs)
        with taint:
            return dispatch(func, types, args, kwargs)

    monkeypatch.setattr(kind, "__torch_dispatch__", classmethod(follow))


ACTIVE = {}
