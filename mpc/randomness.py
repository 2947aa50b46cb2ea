"""Public randomness: initial weights, dropout masks and batch orders are the same on every rank. Never for secrets."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from mpc.announce import announce
from mpc.tensor import SharedTensor
from parties import ConfigurationError, Party

_LOCK = threading.RLock()
"""Guards torch's generator, of which a process has one."""


def align(party: Party, dealt: Tensor | None = None) -> int:
    """Give torch's generator the same state on all ranks; returns a public seed that all agree on.

    If all ranks seeded torch alike, its state stays as it is; otherwise all take a seed that rank 0 draws. So a model
    made inside the session has the same initial weights everywhere. Ranks that are threads have `OwnStream` instead.
    With correlations from files all take the state that the dealer had, ``dealt``, without a message.
    """
    if dealt is not None:
        if party.channel.transport != "threads":
            torch.default_generator.set_state(dealt)
        return int(hashlib.sha256(dealt.numpy().tobytes()).hexdigest()[:14], 16)
    with _LOCK:
        state = hashlib.sha256(torch.default_generator.get_state().numpy().tobytes()).hexdigest()
    fresh = int.from_bytes(os.urandom(7), "little")
    records = [{"state": state}]
    if party.size > 1:
        records = announce(party, "state of torch's generator", {"state": state, "seed": fresh})
    if len({str(record.get("state")) for record in records}) == 1:
        return int(state[:14], 16)
    seed = int(records[0].get("seed", 0)) % 2**56
    if party.channel.transport != "threads":
        torch.manual_seed(seed)
    return seed


def _text(state: Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _state(text: str) -> Tensor:
    try:
        state = torch.frombuffer(bytearray(base64.b64decode(text, validate=True)), dtype=torch.uint8)
        torch.Generator().set_state(state)
    except (ValueError, RuntimeError, TypeError):
        raise ConfigurationError("got a malformed state of torch's generator") from None
    return state


class Ordinary:
    """Torch's own generator, of which a process has one."""

    @property
    def text(self) -> str:
        """Its position, which is put back by assigning it."""
        return _text(torch.default_generator.get_state())

    @text.setter
    def text(self, text: str) -> None:
        torch.default_generator.set_state(_state(text))


class Stream:
    """Random numbers of a session, apart from torch's own, so that a rank may draw privately without harm."""

    def __init__(self, start: int | Tensor) -> None:
        self._state = start.clone() if isinstance(start, Tensor) else torch.Generator().manual_seed(start).get_state()

    @property
    def text(self) -> str:
        """Its position, which is put back by assigning it."""
        return _text(self._state)

    @text.setter
    def text(self, text: str) -> None:
        self._state = _state(text)

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Inside the block torch's random operations on plain tensors draw from this stream. Send nothing in it."""
        with _LOCK, _disable_current_modes():
            outside = torch.default_generator.get_state()
            torch.default_generator.set_state(self._state)
            try:
                yield
            finally:
                self._state = torch.default_generator.get_state()
                torch.default_generator.set_state(outside)


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """What work on shares outside of an operation runs in, so that `OwnStream` does not look at each of its steps.

    A mode that has an attribute ``throughout`` goes on observing.
    """
    with _disable_current_modes() as modes, contextlib.ExitStack() as stack:
        for mode in modes:
            if getattr(mode, "throughout", False):
                stack.enter_context(mode)
        yield


def public_draw(x: Tensor) -> contextlib.AbstractContextManager[None]:
    """What random operations on a shared tensor run in: numbers from its session's stream, the same on all ranks."""
    stream = getattr(x.session, "stream", None) if isinstance(x, SharedTensor) else None
    return contextlib.nullcontext() if stream is None else stream.drawing()


class OwnStream(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives a thread its own state of torch's generator, so that ranks that are threads draw equal numbers.

    ``torch.manual_seed`` inside the thread does not reach it: seed before `mpc.simulate`.
    """

    def __init__(self, state: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stream = Stream(state)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation; one that draws random numbers on plain tensors draws them from the thread's own state."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if any(issubclass(kind, SharedTensor) for kind in types):
            with self:
                return SharedTensor.__torch_dispatch__(func, types, args, kwargs)
        with self.stream.drawing():
            return func(*args, **kwargs)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from ``seed`` inside the block and leave its generator as it was.

    One thread at a time, so that ranks that are threads make equal models.
    """
    with _LOCK, torch.random.fork_rng(devices=[]), _disable_current_modes():
        torch.manual_seed(seed)
        yield
