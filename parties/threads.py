"""Ranks as threads of one process: for tests and notebooks. Nothing is hidden from anybody here."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, ClassVar, TypeVar

from parties.channel import DEADLINE, SMALL, Channel
from parties.errors import ConfigurationError, DeadlineError, JointfitError, PeerLost, WireError
from parties.frames import Failure
from parties.party import Party

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadChannel", "simulate"]

Result = TypeVar("Result")


class _Hub:
    """What the ranks of one simulation have in common: a queue for each ordered pair, and the failure.

    An entry of a queue is (header, payload, lock held until the payload was copied out); None wakes a waiting
    receiver after a failure, and a closed rank leaves an entry with an empty header.
    """

    def __init__(self, size: int) -> None:
        self.queues: list[list[SimpleQueue[tuple[bytes, memoryview, threading.Event | None] | None]]] = [
            [SimpleQueue() for _ in range(size)] for _ in range(size)
        ]
        self.closed = [threading.Event() for _ in range(size)]
        self.failure: Failure | None = None
        self.lock = threading.Lock()

    def fail(self, failure: Failure) -> None:
        with self.lock:
            if self.failure is None:
                self.failure = failure
        for row in self.queues:
            for queue in row:
                queue.put(None)
        for event in self.closed:
            event.set()


class ThreadChannel(Channel):
    """One rank's end of a `_Hub`. Large payloads are passed by reference and copied once, by the receiver."""

    transport: ClassVar[str] = "threads"

    def __init__(self, hub: _Hub, rank: int, size: int, deadline: float = DEADLINE) -> None:
        super().__init__(rank, size, deadline)
        self._hub = hub
        self._held: list[threading.Event] = []
        self._current = memoryview(b"")
        self._copied: threading.Event | None = None
        self._aborted = False

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Put the frame into the peer's queue."""
        self._check()
        copied = None
        if payload.nbytes <= SMALL:
            payload = memoryview(payload.tobytes())
        else:
            copied = threading.Event()
            self._held = [event for event in self._held if not event.is_set()]
            self._held.append(copied)
        self._hub.queues[self.rank][to].put((header, payload, copied))

    def receive_header(self, source: int) -> bytes:
        """Wait for the peer's next entry."""
        self._check()
        try:
            entry = self._hub.queues[source][self.rank].get(timeout=self.deadline)
        except Empty:
            raise DeadlineError(f"nothing from rank {source} for {self.deadline:g} s", rank=source) from None
        if entry is None:
            self._check()
            raise WireError("woken without a failure")
        header, self._current, self._copied = entry
        if not header:
            self._hub.queues[source][self.rank].put(entry)
            raise PeerLost(source, "it ended its program")
        return header

    def receive_payload(self, source: int, into: memoryview) -> None:
        """Copy the payload out of the peer's memory."""
        if into.nbytes != self._current.nbytes:
            raise WireError(
                f"payload of {self._current.nbytes} bytes from rank {source}; want {into.nbytes}", rank=source
            )
        into[:] = self._current
        self._current = memoryview(b"")
        if self._copied is not None:
            self._copied.set()

    def flush(self) -> None:
        """Wait until the peers have copied every large payload."""
        end = time.monotonic() + self.deadline
        for event in self._held:
            while not event.wait(0.05):
                self._check()
                if time.monotonic() > end:
                    raise DeadlineError(f"rank {self.rank}'s payloads were not received for {self.deadline:g} s")
        self._held.clear()

    def abort(self, failure: Failure) -> None:
        """Wake all ranks with the failure."""
        self._aborted = True
        self._hub.fail(failure)

    def close(self) -> None:
        """Say so to all ranks, and wait for all to say so."""
        if self._aborted:
            return
        self._check()
        for queue in self._hub.queues[self.rank]:
            queue.put((b"", memoryview(b""), None))
        self._hub.closed[self.rank].set()
        for event in self._hub.closed:
            event.wait()
        self._check()

    def _check(self) -> None:
        if self._hub.failure is not None:
            raise self._hub.failure.error()


def simulate(
    n: int,
    program: Callable[[Party], Result],
    *,
    dealer: bool = True,
    clients: int = 0,
    deadline: float = DEADLINE,
) -> list[Result]:
    """Run a program on n ranks that are threads of this process.

    Arguments:
        n: number of ranks, clients and the dealer included.
        program: called once in each thread with the Party of its rank.
        dealer: whether the last rank is a dealer.
        clients: how many ranks, after the computing ones, are clients.
        deadline: seconds that a rank waits for another one.

    Returns:
        What the program returned, in order of rank.

    Raises:
        BaseException: whatever the program raised first, the object itself, with a note that names the rank. The
            other threads end promptly.

    Security: none between the ranks; they share their memory.

    >>> parties.simulate(4, lambda party: party.role.value, clients=1)
    ['computing', 'computing', 'client', 'dealer']
    """
    if n < 1:
        raise ConfigurationError(f"too few ranks: got {n}, want at least 1")
    hub = _Hub(n)
    channels = [ThreadChannel(hub, rank, n, deadline) for rank in range(n)]
    results: dict[int, Result] = {}
    errors: list[tuple[int, BaseException]] = []

    def run(rank: int) -> None:
        try:
            party = Party(channels[rank], dealer=dealer, clients=clients)
            results[rank] = program(party)
            party.close()
        except BaseException as error:  # noqa: BLE001 — handed to the caller's thread below
            errors.append((rank, error))
            channels[rank].abort(Failure.of(error, rank))

    threads = [
        threading.Thread(target=copy_context().run, args=(run, rank), name=f"rank {rank}", daemon=True)
        for rank in range(n)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException as interrupt:
        hub.fail(Failure.of(interrupt, 0))
        raise
    if errors:
        rank, error = _root(errors)
        error.add_note(f"raised on rank {rank} of {n}")
        raise error
    return [results[rank] for rank in range(n)]


def _root(errors: list[tuple[int, BaseException]]) -> tuple[int, BaseException]:
    """The error with which the trouble began: the first that does not repeat another rank's."""
    for rank, error in errors:
        if not (isinstance(error, JointfitError) and error.relayed):
            return rank, error
    return errors[0]
