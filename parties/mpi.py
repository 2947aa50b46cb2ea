"""Ranks started by mpirun. Importing this file does not start MPI; making an MpiChannel does.

A frame whose payload is small is one message. A larger payload follows in messages of at most 64 MiB, so that counts
stay within MPI's limits. Messages with the control tag carry aborts and farewells; they are looked for whenever a
rank waits.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from parties.channel import DEADLINE, SMALL, Channel
from parties.errors import ConfigurationError, DeadlineError, JointfitError, PeerLost, WireError
from parties.frames import HEADER_SIZE, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MpiChannel"]

_FRAME, _PAYLOAD, _CONTROL = 1, 2, 3
_PIECE = 1 << 26
_LONGEST_CONTROL = 8192
_ABORT, _FAREWELL, _HEARD, _PRINTED = b"A", b"B", b"H", b"P"
_LAST_WORDS = 2.0
_SPIN = 200
_POLL = 64


def _give_way() -> None:
    """Let another process have the core, if one waits for it."""
    if sys.platform == "linux":
        os.sched_yield()
    else:
        time.sleep(0)


class MpiChannel(Channel):
    """One rank's end of MPI_COMM_WORLD (a copy of it).

    Arguments:
        deadline: see Channel.

    Raises:
        ConfigurationError: mpi4py or an MPI library is missing.

    Security: **none on the links.** MPI neither encrypts nor authenticates; use it within one trust domain, or on a
    cluster whose network and operators all parties trust. Use TLS between institutions.

    After a failure the process ends with a code other than 0 and never enters MPI_Finalize, where it could hang; the
    failing rank waits up to two seconds for the others to have heard and to have printed their errors, before
    mpirun ends all of them.

    Cost: one exchange of small messages about 10 µs in shared memory. A waiting rank spins briefly, then yields and
    sleeps up to half a millisecond at a time, at once if there are more ranks than cores. Large messages progress only
    while both ends are in a call of this class.
    """

    transport: ClassVar[str] = "mpi"

    def __init__(self, *, deadline: float = DEADLINE) -> None:
        try:
            import mpi4py as bindings

            bindings.rc.initialize = False
            bindings.rc.finalize = False
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise ConfigurationError(
                f"MPI is not there ({error}); install it with: pip install 'jointfit[mpi]', or use `jointfit run`"
            ) from error
        self._owner = not MPI.Is_initialized()
        if self._owner:
            MPI.Init_thread(MPI.THREAD_SERIALIZED)  # backward passes on accelerators run on other threads
        self._mpi: Any = MPI
        self._world: Any = MPI.COMM_WORLD.Dup()
        self._urgent: Any = MPI.COMM_WORLD.Dup()  # its own, or each look for news would go through all that waits
        super().__init__(self._world.Get_rank(), self._world.Get_size(), deadline)
        host = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
        self._spin = _SPIN if host.Get_size() <= (os.cpu_count() or 1) else 4
        host.Free()
        self._sends: deque[tuple[Any, Any]] = deque()
        self._rest: dict[int, memoryview] = {}
        self._failure: Failure | None = None
        self._finished: set[int] = set()  # whose last frame was received
        self._ended: set[int] = set()  # who said farewell
        self._heard: set[int] = set()
        self._printed: set[int] = set()
        self._over = False
        if MPI.get_vendor()[0] != "Open MPI":  # whose launcher names the process that was killed, but not its rank
            sys.stderr.write(f"jointfit: rank {self.rank} is process {os.getpid()} on {MPI.Get_processor_name()}\n")
        atexit.register(self._at_exit)

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Start nonblocking sends; MPI queues what it cannot deliver yet."""
        self._check()
        if payload.nbytes <= SMALL:
            self._start(b"".join((header, payload)), to, _FRAME)
        else:
            self._start(header, to, _FRAME)
            for start in range(0, payload.nbytes, _PIECE):
                self._start(payload[start : start + _PIECE], to, _PAYLOAD)
        while self._sends and self._sends[0][0].Test():
            self._sends.popleft()

    def receive_header(self, source: int) -> memoryview:
        """Wait for the next frame; a small payload comes with it."""
        if not 0 <= source < self.size or source == self.rank:
            raise ConfigurationError(f"rank {source} is no peer of rank {self.rank}")
        self._check()
        status = self._mpi.Status()
        if source not in self._finished:
            self._wait(partial(self._world.Iprobe, source, _FRAME, status), source)
        size = 0 if source in self._finished else status.Get_count(self._mpi.BYTE)
        if size > HEADER_SIZE + SMALL:
            raise WireError(f"frame of {size} bytes; want at most {HEADER_SIZE + SMALL}")
        data = memoryview(bytearray(size))
        if source not in self._finished:
            self._world.Recv([data, self._mpi.BYTE], source, _FRAME)
        if size == 0:
            self._finished.add(source)
            raise PeerLost(source, "it ended its program")
        self._rest[source] = data[HEADER_SIZE:]
        return data[:HEADER_SIZE]

    def receive_payload(self, source: int, into: memoryview) -> None:
        """Copy a small payload; receive a large one straight into the memory given."""
        rest = self._rest.pop(source, memoryview(b""))
        if into.nbytes <= SMALL:
            if rest.nbytes != into.nbytes:
                raise WireError(f"payload of {rest.nbytes} bytes from rank {source}; want {into.nbytes}", rank=source)
            into[:] = rest
            return
        for start in range(0, into.nbytes, _PIECE):
            piece = into[start : start + _PIECE]
            status = self._mpi.Status()
            self._wait(partial(self._world.Iprobe, source, _PAYLOAD, status), source)
            size = status.Get_count(self._mpi.BYTE)
            if size != piece.nbytes:
                raise WireError(f"piece of {size} bytes from rank {source}; want {piece.nbytes}", rank=source)
            request = self._world.Irecv([piece, self._mpi.BYTE], source, _PAYLOAD)
            self._wait(request.Test, source)

    def flush(self) -> None:
        """Wait until MPI is done with all that was sent."""
        while self._sends:
            self._wait(self._sends[0][0].Test, None)
            self._sends.popleft()

    def abort(self, failure: Failure) -> None:
        """Tell the peers, and wait up to two seconds until all have heard."""
        if self._over:
            return
        self._over = True
        self._failure = self._failure or failure
        notice = _ABORT + failure.pack()
        with contextlib.suppress(self._mpi.Exception):
            for to in self._others():
                self._start(notice, to, _CONTROL)
            self._linger(lambda: len(self._heard | self._printed | self._ended) >= self.size - 1, _LAST_WORDS)

    def close(self) -> None:
        """Say farewell to all, and wait until all have said theirs."""
        if self._over:
            return
        self._check()
        for to in self._others():
            self._start(b"", to, _FRAME)
            self._start(_FAREWELL, to, _CONTROL)
        self._wait(lambda: len(self._ended) >= self.size - 1 and self._discard(), None, forever=True)
        self._over = True
        for request, _ in self._sends:
            request.Wait()
        self._sends.clear()
        self._world.Free()
        self._urgent.Free()
        if self._owner:
            self._mpi.Finalize()

    # Waiting --------------------------------------------------------------------------------------------------------

    def _wait(self, ready: Callable[[], Any], peer: int | None, *, forever: bool = False) -> None:
        """Poll until ready; looks for control messages, and sleeps longer and longer."""
        turns = 0
        end = 0.0
        while not ready():
            turns += 1
            if turns % _POLL == 0 or turns > self._spin:
                self._control()
                self._check()
            if turns <= self._spin:
                continue
            now = time.monotonic()
            if not end:
                end = now + self.deadline
            elif now > end and not forever:
                whom = "any peer" if peer is None else f"rank {peer}"
                raise DeadlineError(f"nothing from {whom} for {self.deadline:g} s", rank=peer)
            waited = turns - self._spin
            if waited < 200:
                _give_way()
            else:
                time.sleep(min(5e-4, 2e-5 * (waited // 200)))

    def _linger(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self._control()
            time.sleep(1e-3)

    def _control(self) -> None:
        """Take the control messages that have come."""
        status = self._mpi.Status()
        while self._urgent.Iprobe(self._mpi.ANY_SOURCE, _CONTROL, status):
            source = status.Get_source()
            size = status.Get_count(self._mpi.BYTE)
            if size > _LONGEST_CONTROL:
                raise WireError(f"control message of {size} bytes; want at most {_LONGEST_CONTROL}", rank=source)
            data = bytearray(size)
            self._urgent.Recv([data, self._mpi.BYTE], source, _CONTROL)
            kind = bytes(data[:1])
            if kind == _ABORT:
                failure = Failure.parse(data[1:], self.size)
                self._failure = self._failure or failure
                self._start(_HEARD, source, _CONTROL)
            elif kind == _FAREWELL:
                self._ended.add(source)
            elif kind == _HEARD:
                self._heard.add(source)
            elif kind == _PRINTED:
                self._printed.add(source)

    def _discard(self) -> bool:
        """Receive what nobody asked for, so that its sender can end. Always true."""
        status = self._mpi.Status()
        while self._world.Iprobe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status):
            room = bytearray(status.Get_count(self._mpi.BYTE))
            self._world.Recv([room, self._mpi.BYTE], status.Get_source(), status.Get_tag())
        return True

    def _start(self, data: bytes | memoryview, to: int, tag: int) -> None:
        comm = self._urgent if tag == _CONTROL else self._world
        self._sends.append((comm.Isend([data, self._mpi.BYTE], to, tag), data))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure.error()

    def _others(self) -> list[int]:
        return [rank for rank in range(self.size) if rank != self.rank]

    # The end of the process -----------------------------------------------------------------------------------------

    def _at_exit(self) -> None:
        """After the program, and after a traceback was printed: end without hanging."""
        if self._over and self._failure is None:
            return
        if not self._over:
            if getattr(sys, "last_value", None) is None:
                with contextlib.suppress(JointfitError):
                    self.close()
                    return
            self.abort(Failure.of(getattr(sys, "last_value", None) or SystemExit(), self.rank))
        self._leave()

    def _leave(self) -> NoReturn:
        """Wait until the others have printed their errors too, then end this process with code 1."""
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            for to in self._others():
                self._start(_PRINTED, to, _CONTROL)
            self._linger(lambda: len(self._printed | self._ended) >= self.size - 1, _LAST_WORDS)
            time.sleep(0.05)
        os._exit(1)
