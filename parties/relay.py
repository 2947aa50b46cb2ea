"""A relay: where parties meet that nobody can dial. Anybody may run it: ``python -m parties.relay --listen HOST:PORT``.

Both parties dial out to the relay. One parks connections there, the other calls; the relay joins the two and copies
bytes in both directions. `rooms` is how they speak to it.

Security: what passes is TLS between the parties, after their certificates, which are public. The relay has no key, and
cannot read, change or invent anything without the parties ending the session with an error. It can cut or delay
connections, and it sees who talks to whom (addresses, names in certificates, the job's room), when, and how many bytes.
It connects only those who dial it; it dials nobody. Whoever knows a job's hash can park in its room and so keep the
parties apart, but is not let in by them. There is no login: where only some networks are to use it, a firewall says so.

Cost: one task of an event loop for each connection, and at most about half a megabyte of buffers in each direction of a
pair; a side that does not read slows down the other one, not the relay. On one machine large messages took 6.7 times as
long as directly (0.45 GB/s), and a round trip of 64 bytes 2.6 times (56 µs).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import resource
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parties.errors import ConfigurationError, DisagreementError, JointfitError, WireError
from parties.rooms import ACCEPT, FULL, GO, NOBODY, PING, PREFACE_SIZE, VERSION, What, parse_preface
from parties.sockets import listen, tune

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from parties.sockets import Address

__all__ = ["Limits", "Relay", "main", "serve"]

_log = logging.getLogger("jointfit.relay")
_PART = 1 << 16
_LINGER = 10.0
_OWN_FILES = 64


@dataclass(frozen=True)
class Limits:
    """What a relay allows.

    Attributes:
        connections: open at a time; a pair that talks has two.
        host: of them, those that come from one address.
        strangers: of them, those that have not said yet what they want.
        parked: for one rank of a room; as many may wait for it.
        preface: seconds to say what one wants.
        call: seconds that a caller waits for somebody to be parked.
        ping: seconds between two questions whether a parked connection is still there.
        answer: seconds to answer one.
    """

    connections: int = 1024
    host: int = 256
    strangers: int = 128
    parked: int = 32
    preface: float = 10.0
    call: float = 10.0
    ping: float = 15.0
    answer: float = 5.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigurationError(f"relay: {name} is {value}; want more than 0")


class _End:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        host, port, *_ = writer.get_extra_info("peername") or ("?", 0)
        self.host = str(host)
        self.name = f"{host}:{port}"

    async def close(self, last: bytes = b"") -> None:
        """Send what is buffered, for some seconds at most, and close."""
        try:
            async with asyncio.timeout(_LINGER):
                if last:
                    self.writer.write(last)
                self.writer.close()
                await self.writer.wait_closed()
        except OSError:
            pass  # it is gone, or does not read
        finally:
            self.cut()

    def cut(self) -> None:
        self.writer.transport.abort()


class _Call:
    """A caller that waits at a door."""

    def __init__(self) -> None:
        self.parked: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()


class _Door:
    """Where one rank of a room is called: callers on one side, parked connections on the other."""

    def __init__(self, room: bytes, rank: int) -> None:
        self.name = f"rank {rank} in room {room.hex()[:8]}"
        self.users = 0
        self._callers: deque[_Call] = deque()
        self._parked: deque[asyncio.Future[_Call]] = deque()

    def full(self, what: What, most: int) -> bool:
        return len(self._parked if what is What.PARK else self._callers) >= most

    def call(self, call: _Call) -> None:
        """Give a call to a parked connection, or let it wait."""
        if self._parked:
            self._parked.popleft().set_result(call)
        else:
            self._callers.append(call)

    def hang_up(self, call: _Call) -> None:
        """The caller waits no longer."""
        call.parked.cancel()
        with contextlib.suppress(ValueError):
            self._callers.remove(call)

    def park(self) -> asyncio.Future[_Call]:
        """The next call."""
        called: asyncio.Future[_Call] = asyncio.get_running_loop().create_future()
        if self._callers:
            called.set_result(self._callers.popleft())
        else:
            self._parked.append(called)
        return called

    def leave(self, called: asyncio.Future[_Call]) -> None:
        """A parked connection is gone; what it had to answer goes to another one."""
        with contextlib.suppress(ValueError):
            self._parked.remove(called)
        if called.done() and not called.result().parked.done():
            self.call(called.result())


class Relay:
    """A relay in an event loop.

    Arguments:
        limits: what it allows.

    Rooms exist only while somebody is in them.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._ends: set[_End] = set()
        self._strangers = 0
        self._doors: dict[tuple[bytes, int], _Door] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve at a listening socket until ``stop`` is set; then cut all connections."""
        server = await asyncio.start_server(self._welcome, sock=listener, limit=_PART)
        try:
            await stop.wait()
        finally:
            server.close()
            await _settle()  # connections that were just accepted become ends
            for end in list(self._ends):
                end.cut()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_LINGER)
            await _settle()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = _End(reader, writer)
        of_host = sum(each.host == end.host for each in self._ends)
        limits = self._limits
        if (
            self._strangers >= limits.strangers or of_host >= limits.host or len(self._ends) >= limits.connections
        ):
            open_now = len(self._ends), of_host, self._strangers
            _log.warning("%s refused: %d connections are open, %d from there, %d silent", end.name, *open_now)
            await end.close(FULL)
            return
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._ends.add(end)
        try:
            tune(writer.get_extra_info("socket"))
            await end.close(await self._serve(end))
        except (JointfitError, OSError, EOFError) as error:
            _log.info("%s dropped: %s", end.name, str(error) or type(error).__name__)
        finally:
            self._ends.discard(end)
            end.cut()

    async def _serve(self, end: _End) -> bytes:
        """Serve one connection to its end; returns its last byte, if there is something to say."""
        self._strangers += 1
        try:
            async with asyncio.timeout(self._limits.preface):
                data = await end.reader.readexactly(PREFACE_SIZE)
        finally:
            self._strangers -= 1
        try:
            what, room, rank, peer = parse_preface(data)
        except DisagreementError:
            return VERSION
        key = (room, rank if what is What.PARK else peer)
        door = self._doors.setdefault(key, _Door(*key))
        door.users += 1
        try:
            if door.full(what, self._limits.parked):
                _log.warning("%s refused: too many connections for %s", end.name, door.name)
                return FULL
            return await (self._park(end, door) if what is What.PARK else self._call(end, door, rank))
        finally:
            door.users -= 1
            if not door.users:
                del self._doors[key]

    async def _park(self, end: _End, door: _Door) -> bytes:
        """Keep a connection until somebody calls, and then until both are done."""
        called = door.park()
        try:
            await self._ask(end, PING, PING)
            while not called.done():
                await self._quiet(end, called, self._limits.ping)
                if not called.done():
                    await self._ask(end, PING, PING)
            await self._ask(end, GO, ACCEPT)
        except BaseException:
            door.leave(called)
            raise
        call = called.result()
        if not call.parked.done():  # else the caller has left meanwhile
            call.parked.set_result(end)
            await call.over.wait()
        return b""

    async def _ask(self, end: _End, question: bytes, want: bytes) -> None:
        end.writer.write(question)
        async with asyncio.timeout(self._limits.answer):
            answer = await end.reader.readexactly(1)
        if answer != want:
            raise WireError(f"answer {answer!r}; want {want!r}")

    async def _quiet(self, end: _End, other: asyncio.Future[Any], timeout: float) -> None:
        """Wait for something else, while an end has nothing to say; raise an error if it speaks or leaves."""
        heard = asyncio.ensure_future(end.reader.readexactly(1))
        try:
            await asyncio.wait({heard, other}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if heard.done():
                raise WireError(f"{heard.result()!r} while it had to wait")
        finally:
            if not heard.done():
                heard.cancel()
                await asyncio.wait({heard})

    async def _call(self, end: _End, door: _Door, rank: int) -> bytes:
        """Join a caller with a parked connection, and copy until both are done."""
        call = _Call()
        door.call(call)
        try:
            await self._quiet(end, call.parked, self._limits.call)
            if not call.parked.done():
                return NOBODY
            other = call.parked.result()
            end.writer.write(GO)
            start = time.monotonic()
            _log.info("%s (rank %d) and %s: joined with %s", end.name, rank, other.name, door.name)
            try:
                up, down = await _join(end, other)
            finally:
                _log.info("%s and %s: parted after %.1f s", end.name, other.name, time.monotonic() - start)
            _log.info("%s sent %d bytes, %s sent %d", end.name, up, other.name, down)
        finally:
            door.hang_up(call)
            call.over.set()
        return b""


async def _join(one: _End, other: _End) -> tuple[int, int]:
    """Copy in both directions until both have ended; what breaks one direction ends the other. Returns the bytes."""
    try:
        async with asyncio.TaskGroup() as group:
            up = group.create_task(_copy(one, other))
            down = group.create_task(_copy(other, one))
    except* OSError as errors:
        raise ConnectionError(str(errors.exceptions[0])) from errors
    return up.result(), down.result()


async def _copy(source: _End, sink: _End) -> int:
    """Copy until the source ends; then tell the sink. Returns the bytes."""
    copied = 0
    while data := await source.reader.read(_PART):
        sink.writer.write(data)
        await sink.writer.drain()
        copied += len(data)
    sink.writer.write_eof()
    return copied


async def _settle() -> None:
    """Let the event loop do what it has begun: from accept to `Relay._welcome` it takes four rounds."""
    for _ in range(8):
        await asyncio.sleep(0)


def serve(address: Address, limits: Limits | None = None, *, ready: Callable[[Address], None] | None = None) -> None:
    """Run a relay until SIGTERM, SIGINT or SIGHUP; called from the main thread.

    Arguments:
        address: to listen at; port 0 takes any free one.
        limits: what it allows.
        ready: called with the address once it listens.

    Raises:
        ConfigurationError: it cannot listen there, or the system allows fewer open files than connections.
    """
    limits = limits or Limits()
    _files(limits.connections + _OWN_FILES)
    with listen(address) as listener:
        bound: Address = listener.getsockname()[:2]
        _log.info("listening on %s port %d", *bound)
        asyncio.run(_serve(listener, limits, lambda: ready(bound) if ready is not None else None))
    _log.info("ended")


def _files(wanted: int) -> None:
    """Let this process open so many files."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        raise ConfigurationError(f"relay: {wanted} open files are needed, and the system allows {most}; see ulimit -Hn")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _serve(listener: socket.socket, limits: Limits, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready()
    await Relay(limits).run(listener, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of ``python -m parties.relay``."""
    from parties.roles import parse_address

    parser = argparse.ArgumentParser(prog="python -m parties.relay", description="Run a relay for jointfit's parties.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where parties dial, as 0.0.0.0:7400")
    parser.add_argument("--connections", type=int, default=Limits.connections, help="open at a time (%(default)s)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(parse_address(given.listen), Limits(connections=given.connections))
    except JointfitError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
