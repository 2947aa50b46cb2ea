"""An oracle of dependencies that knows nothing of protocol steps: it follows openings through torch's operations."""

import threading

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from protocols.dependencies import Dependencies

aten = torch.ops.aten

FRESH = {
    aten.empty_like.default, aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
    aten.new_empty.default, aten.new_zeros.default, aten.new_ones.default, aten.new_full.default,
}  # fmt: skip
"""What takes shape and type of a tensor and not its values."""

ACTIVE = {}
"""Taint by thread."""


class Taint(TorchDispatchMode):
    """Every tensor's openings, as the bits of a number, by the memory that it lies in; on the thread that entered it.

    Memory as a whole is marked, and never cleaned: more may be said to depend than does, not less. ``shared``: a class
    of tensors whose own dispatch runs operations that are to be followed, see `follow_shared_tensors`.
    """

    def __init__(self, scheduler, shared=()):
        super().__init__()
        self.shared = shared
        self.found, self.kept = {}, []
        self.openings, self.parts = [], []
        self.dependencies = Dependencies()
        scheduler.follow(self.dependencies)
        self._watch(scheduler)

    def __enter__(self):
        ACTIVE[threading.get_ident()] = self
        return super().__enter__()

    def of(self, tensor):
        return self.found.get(tensor.untyped_storage()._cdata, 0)

    def mark(self, tensor, bits):
        storage = tensor.untyped_storage()
        before = self.found.get(storage._cdata, 0)
        if bits & ~before:
            self.kept.append(storage)  # so that its address is not used again
            self.found[storage._cdata] = bits | before

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(isinstance(leaf, self.shared) for leaf in inputs):
            return out  # followed inside
        bits = 0
        for leaf in inputs:
            bits |= self.of(leaf)
        if bits and func not in FRESH:
            outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
            assert outputs or not func._schema.is_mutable, f"{func} writes, and returns nothing"
            for leaf in outputs:
                self.mark(leaf, bits)
        return out

    def _watch(self, scheduler):
        """Note what every opening's part depends on when it is queued, and mark what was opened."""
        queue, exchange = scheduler.queue, scheduler._exchange

        def queued(opening, after=None):
            self.openings.append(opening)
            self.parts.append(self.of(opening.part))
            return queue(opening, after)

        def opened(openings):
            exchange(openings)
            for place, opening in enumerate(self.openings):
                if any(opening is one for one in openings):
                    self.mark(opening.value, 1 << place)

        scheduler.queue, scheduler._exchange = queued, opened

    def ancestors(self):
        """For every opening in order, those that its part depends on, as a set of places."""
        return [{k for k in range(bits.bit_length()) if bits >> k & 1} for bits in self.parts]


def follow_shared_tensors(monkeypatch, kind):
    """Have the operations inside those of a tensor class followed, on threads that entered a Taint."""
    dispatch = kind.__torch_dispatch__

    def follow(cls, func, types, args=(), kwargs=None):
        taint = ACTIVE.get(threading.get_ident())
        if taint is None:
            return dispatch(func, types, args, kwargs)
        with taint:
            return dispatch(func, types, args, kwargs)

    monkeypatch.setattr(kind, "__torch_dispatch__", classmethod(follow))


def ancestors(dependencies):
    """What the graph says: for every opening in order, those that it depends on, as a set of places."""
    openings = [node for node in dependencies.nodes if node.kind == "opening"]
    place = {node.number: k for k, node in enumerate(openings)}
    out = []
    for node in openings:
        direct = {place[one.number] for one in dependencies.nodes_of(node.after) if one.kind == "opening"}
        out.append(direct.union(*(out[k] for k in direct)))
    return out


def check(taint, *, exact=True):
    """The graph names all that an opening depends on, and if ``exact`` nothing else. Returns how many openings.

    Only rank 0 adds public values to its parts; those of other ranks may depend on less.
    """
    want, got = taint.ancestors(), ancestors(taint.dependencies)
    assert len(want) == len(got) == len(taint.openings)
    for k, (data, named) in enumerate(zip(want, got, strict=True)):
        assert data <= named, f"opening {k} depends on {sorted(data - named)}, which the graph does not name"
    for k, (data, named) in enumerate(zip(want, got, strict=True)):
        assert not exact or data == named, f"opening {k} does not depend on {sorted(named - data)}, as the graph says"
    return len(want)


def edges(dependencies):
    """Everything that a planner and a party must agree on."""
    number = {node.number: k for k, node in enumerate(dependencies.nodes)}
    return [
        (node.kind, node.bytes, node.round, node.asked, node.begun, node.queued, node.where,
         [number[one.number] for one in dependencies.nodes_of(node.after)])
        for node in dependencies.nodes
    ]  # fmt: skip
