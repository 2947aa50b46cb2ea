"""Correlations from a dealer: a rank that holds no data and sends functions of masks it knows.

The dealer shares one seed with every computing party and client. A mask is the sum of what the computing parties
expand from their seeds and costs no message. A function of masks costs its size once: every party but the last expands
its part, the last receives the difference from the dealer. The same call does the right thing in each role:

- a computing party expands or receives its part;
- the dealer computes the value from the masks and sends the correction, gathered into one message a round;
- a client expands the masks of its own inputs, and holds no part of anything else;
- the planner has no seeds and counts bytes on meta tensors.

Seeds and corrections come from a `source`: a running dealer, or files that were dealt beforehand.

Security: semi-honest parties and dealer; the dealer must not collude with any party. Whoever holds all seeds (the
dealer) can unmask every opening it sees; it sees none. Source: Beaver 1991; seed compression as in Boyle et al. 2018
(section 1), for correlations that need no programmability.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor

from parties import ConfigurationError, DisagreementError, Party, Role
from parties.prg import Generator
from protocols.correlations.source import CHECK, Source
from protocols.form import Mask
from protocols.memory import Memory
from protocols.program import Program
from protocols.ring import as_bytes, outline

if TYPE_CHECKING:
    from protocols.recorder import Recorder

FLUSH = 1 << 20
"""The dealer sends its corrections at the end of a round, or earlier once this many bytes are waiting."""

Deal = Callable[..., Sequence[Tensor]]


class Output(NamedTuple):
    """Shape and type of one dealt value. int64 and int32 are shared by addition, other types by exclusive or.

    ``low``: how many low bits of each element matter, all of them if it is 0; who deals may leave the others out.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.int64
    low: int = 0

    @property
    def additive(self) -> bool:
        """Whether parts are added rather than xored."""
        return self.dtype in {torch.int64, torch.int32}

    @property
    def bytes(self) -> int:
        """Size of the value."""
        return math.prod(self.shape) * self.dtype.itemsize


class Correlations:
    """The stream of correlations of one session, seen from one rank. Calls are made in the same order everywhere."""

    def __init__(self, party: Party, source: Source | None, memory: Memory) -> None:
        """``source``: of seeds and corrections; None for the planner, which has none."""
        self._party = party
        self._source = source
        self._memory = memory
        self._streams = [] if source is None else list(source.streams)
        self._is_dealer = party.role is Role.DEALER
        self._is_last = party.rank == party.computing - 1
        self._is_client = party.role is Role.CLIENT
        self._waiting: list[memoryview] = []
        self._waiting_bytes = 0
        self._program = Program()
        self._mark = self._check = b""
        self._buffer = memoryview(b"")
        self._dealt = 0
        self._last = ""
        self.offline_bytes = 0
        self.planning = source is None
        self._closed = False
        self.recorder: Recorder | None = None

    def finish(self) -> None:
        """Hand over what is waiting: the program ended well."""
        self.flush()
        if self._source is not None:
            self._source.finish()

    def close(self) -> None:
        """Forget all generators and what is waiting; every later call raises."""
        self._closed = True
        if self._source is not None:
            self._source.close()
        self._streams.clear()
        self._waiting.clear()
        self._buffer = memoryview(b"")

    # ---- what protocol steps ask for ---------------------------------------------------------------------------

    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        """Return a fresh uniform mask, which nobody but the dealer knows, or ``owner`` alone. No message.

        If the owner is a client, the computing parties have no part of it before it is dealt.
        """
        output = Output(tuple(shape), dtype)
        self.note(f"mask {output.shape} {dtype} {owner}".encode())
        if self.planning:
            return Mask(outline(output.shape, output.dtype), None)
        if self._is_dealer:
            streams = self._streams[: self._party.computing] if owner is None else [self._streams[owner]]
            return Mask(outline(output.shape, output.dtype), self._combine(output, streams))
        if self._is_client and owner != self._party.rank:
            return Mask(outline(output.shape, output.dtype), None)
        if owner is None or owner == self._party.rank:
            return Mask(self._memory.uniform(output.shape, self._streams[0], output.dtype), None)
        return Mask(torch.zeros((), dtype=dtype, device=self._memory.device).expand(output.shape), None, empty=True)

    def deal(self, masks: Sequence[Mask], outputs: Sequence[Output], function: Deal) -> list[Mask]:
        """Share function(*masks): one value for each output.

        Cost: the outputs' bytes once, from the dealer to the last party, offline.
        """
        described = f"{function.__module__} {function.__qualname__} {[(o.shape, o.dtype) for o in outputs]}"
        self._ask(sum(output.bytes for output in outputs), described)
        if self.planning or self._is_client:
            return [Mask(outline(output.shape, output.dtype), None) for output in outputs]
        if not self._is_dealer:
            take = self._receive if self._is_last else self._own
            return [Mask(take(output), None) for output in outputs]
        values = function(*(mask.secret for mask in masks))
        return [self._send(value, output) for value, output in zip(values, outputs, strict=True)]

    def _ask(self, size: int, what: str) -> None:
        """Account for ``size`` bytes that the dealer sends, and note what they are for."""
        self.offline_bytes += size
        if self.recorder is not None:
            self.recorder.dealt(size)
        self._dealt += 1
        self._last = what
        self.note(what.encode())
        if self._source is not None and self._source.dealt is not None and self.offline_bytes > self._source.dealt:
            raise self._differs(f"{self._source.dealt} bytes of correlations were dealt, and the program wants more")
        if size:
            self._mark = self._program.digest()

    def flush(self) -> None:
        """Send what the dealer has waiting. Called at the end of every round, on every rank."""
        if self._waiting and self._source is not None:
            self._waiting.append(memoryview(self._mark))
            self._source.put(self._memory.gathered(self._waiting))
            self._waiting = []
            self._waiting_bytes = 0
        if self._buffer:
            raise self._differs(f"{len(self._buffer)} bytes of correlations were dealt that the program did not want")

    # ---- the roles ---------------------------------------------------------------------------------------------

    def note(self, what: bytes) -> None:
        """Take something into the digest of the program. Raises ConfigurationError if the session is over."""
        if self._closed:
            raise ConfigurationError("the session is over: nothing can be shared, computed or opened any more")
        self._program.note(what)

    @property
    def program(self) -> str:
        """Digest of everything that was asked for and noted so far."""
        return str(self._program)

    def _combine(self, output: Output, streams: Sequence[Generator]) -> Tensor:
        total = self._memory.uniform(output.shape, streams[0], output.dtype)
        for stream in streams[1:]:
            part = self._memory.uniform(output.shape, stream, output.dtype)
            total = total.add_(part) if output.additive else total.bitwise_xor_(part)
        return total

    def _send(self, value: Tensor, output: Output) -> Mask:
        if tuple(value.shape) != output.shape or value.dtype != output.dtype:
            raise TypeError(f"dealt {value.dtype} {tuple(value.shape)}, declared {output.dtype} {output.shape}")
        others = self._combine(output, self._streams[: self._party.computing - 1])
        correction = others  # in its place: fresh memory costs more than the subtraction
        torch.sub(value, others, out=correction) if output.additive else correction.bitwise_xor_(value)
        self._put(correction)
        return Mask(outline(output.shape, output.dtype), value)

    def _put(self, correction: Tensor) -> None:
        """Have a correction sent, now or with others."""
        if correction.numel():
            if self.recorder is not None:
                self.recorder.gathers(correction.nbytes)
            self._waiting.append(as_bytes(self._memory.to_host(correction)))
            self._waiting_bytes += correction.nbytes
            if self._waiting_bytes >= FLUSH:
                self.flush()

    def _own(self, output: Output) -> Tensor:
        return self._memory.uniform(output.shape, self._streams[0], output.dtype)

    def _receive(self, output: Output) -> Tensor:
        value = self._memory.room(output.shape, output.dtype)
        if not value.numel():
            return self._memory.from_host(value)
        done = 0
        while done < output.bytes:
            if not self._buffer:
                message = cast(Source, self._source).take()
                self._buffer, self._check = message[:-CHECK], bytes(message[-CHECK:])
            step = min(len(self._buffer), output.bytes - done)
            if self.recorder is not None:
                self.recorder.took(step)
            self._memory.fill(value, done, self._buffer[:step])
            self._buffer = self._buffer[step:]
            done += step
            if not self._buffer and self._check != self._mark:
                raise self._differs("their lists of correlations differ")
        return self._memory.from_host(value)

    def _differs(self, how: str) -> DisagreementError:
        dealer = self._party.dealer
        name = "what the files of correlations were dealt for" if dealer is None else f"the dealer, rank {dealer},"
        return DisagreementError(
            f"rank {self._party.rank} and {name} run different programs: {how}, at or before correlation number "
            f"{self._dealt}: {self._last}",
            rank=dealer,
        )
