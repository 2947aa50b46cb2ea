"""Party: who this process is, and the one place where bytes, messages and rounds are counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from parties.channel import flat
from parties.counts import Count, Counts
from parties.errors import ConfigurationError, DeadlineError, DisagreementError, JointfitError, PeerError, WireError
from parties.frames import HEADER_SIZE, Failure, FrameType, Header, advance
from parties.links import Link, difference, disagreement, late
from parties.observer import Observer
from parties.ranks import Role, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from typing_extensions import Buffer

    from parties.channel import Channel
    from parties.limits import Limits

__all__ = ["Party"]

_LIMIT = 1 << 30
_LONGEST_VALUE = 1 << 12


class Party:
    """One rank of a session.

    All ranks construct their Party at the same time: rank 0 draws the session id from its operating system's
    generator and sends it to the others, then all compare size and roles.

    Arguments:
        channel: the transport. The Party closes it.
        dealer: True if the last rank is the dealer, False or None if there is none; or the dealer's rank, which must
            be the last one.
        clients: how many clients there are; their ranks follow those of the computing parties.

    Attributes:
        rank, size: of this process; number of ranks, clients and the dealer included.
        role: Role.COMPUTING, Role.CLIENT or Role.DEALER.
        computing: number of computing parties, whose ranks are 0 … computing-1.
        clients: ranks of the clients: computing … computing+clients-1.
        dealer: rank of the dealer, or None.
        peers: the computing ranks but this one, in ascending order.
        session: 16 bytes that no other session has.
        counts: what this rank sent and received; see Counts.
        before_waiting: called before this rank waits for another or takes part in a round or the setup; a dealer then
            sends what it has gathered, which its peers ask for first.
        limits: what the session may take, None: anything. What sends or receives beyond raises LimitError; see Limits.
        observer: is told of all messages, rounds and waits; one that does nothing, unless it is set.

    Raises:
        ConfigurationError: too few ranks (beside a dealer or clients there are two computing parties), or a dealer that
            is not the last rank.
        DisagreementError: the ranks were started with different sizes or roles.
        PeerError, WireError, DeadlineError: as in `exchange`.

    Security: frames carry a sequence number, the session id and a digest of the program, so that replayed, reflected
    and misplaced frames are refused. Against outsiders they are as safe as the channel: TLS authenticates and
    encrypts, threads and MPI do not.
    """

    rank: int
    size: int
    role: Role
    computing: int
    clients: range
    dealer: int | None
    peers: tuple[int, ...]
    session: bytes
    counts: Counts
    before_waiting: Callable[[], None] | None = None
    limits: Limits | None = None
    observer = Observer()

    def __init__(self, channel: Channel, *, dealer: bool | int | None, clients: int = 0) -> None:
        self._place(channel.rank, channel.size, dealer, clients)
        self.channel = channel
        self.session = bytes(16)
        self._links = {rank: Link(lower=self.rank < rank) for rank in self._others()}
        self._over = ""  # why nothing can be sent any more
        self.session = self.broadcast(0, os.urandom(16) if self.rank == 0 else None, "session id", limit=16)
        if len(self.session) != 16:
            raise WireError(f"session id of {len(self.session)} bytes; want 16", rank=0)
        self.agree("size and roles", f"{self.size} ranks, {clients} clients, dealer {self.dealer}".encode())

    def _place(self, rank: int, size: int, dealer: bool | int | None, clients: int) -> None:
        """Set the attributes that say who this rank is."""
        last = size - 1
        where = None if dealer is None or dealer is False else last if dealer is True else dealer
        if where is not None and where != last:
            raise ConfigurationError(f"dealer on rank {where} of {size}; want the last rank, {last}")
        check_size(size, dealer=where is not None, clients=clients)
        self.rank = rank
        self.size = size
        self.dealer = where
        self.computing = size - clients - (where is not None)
        self.clients = range(self.computing, self.computing + clients)
        self.role = Role.DEALER if rank == where else Role.CLIENT if rank in self.clients else Role.COMPUTING
        self.peers = tuple(other for other in range(self.computing) if other != rank)
        self.counts = Counts()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank {self.rank} of {self.size}, {self.role.value}, dealer {self.dealer})"

    # Rounds ---------------------------------------------------------------------------------------------------------

    def exchange(
        self,
        outgoing: Mapping[int, Buffer],
        incoming: Mapping[int, int],
        label: str,
        *,
        phase: str = "online",
        into: Mapping[int, memoryview] | None = None,
        context: str = "",
    ) -> dict[int, memoryview]:
        """One round: send to some ranks and receive from some, both at once.

        Arguments:
            outgoing: bytes for each rank that gets any. They are handed over: those above `channel.SMALL` bytes must
                not be changed before `flush` has returned.
            incoming: how many bytes come from each rank that sends any.
            label: what the round is for; the same on all ranks that take part.
            phase: under which it is counted.
            into: flat writable memory to receive into, for some ranks of ``incoming``.
            context: a digest of what else must be equal on both ends (public operands); compared, not counted.

        Returns:
            What came from each rank of ``incoming``: flat, writable, fresh memory unless ``into`` gave it.

        Raises:
            DisagreementError: a peer's step has another label or other sizes; shows both.
            WireError: a frame is malformed, replayed or out of order.
            PeerError: a peer died, ended its program or raised an error.
            DeadlineError: a peer sent nothing for longer than the deadline of the channel.

        Cost: one round, one message to each rank of ``outgoing``, 80 bytes of header each.
        """
        line = self.counts.line(phase, label)
        line.rounds += 1
        self.observer.begins(label, phase)
        cut = label.encode("ascii", "replace")[:32]
        try:
            for to, data in outgoing.items():
                view = flat(data)
                digest = self._link(to).step(f"{label}\0{context}", view.nbytes, incoming.get(to, -1))
                self._send(FrameType.EXCHANGE, to, cut, digest, view)
                self._sent(line, to, view.nbytes, label, phase)
            result: dict[int, memoryview] = {}
            for source, size in incoming.items():
                link = self._link(source)
                if source not in outgoing:
                    link.step(f"{label}\0{context}", -1, size)
                self.observer.waits()
                header = self._header(source, label, size)
                want = FrameType.EXCHANGE
                if header.type != want or header.digest != link.digest:
                    raise disagreement(self.rank, source, label, size, header)
                if header.length != size:
                    raise WireError(f"{header.length} bytes from rank {source} for '{label}'; want {size}", rank=source)
                result[source] = self._payload(source, label, size, (into or {}).get(source))
                self._received(line, source, size, label, phase)
        except JointfitError as error:
            self._fail_on(error, label)
            raise
        self.observer.ends(label, phase)
        return result

    # One direction --------------------------------------------------------------------------------------------------

    def send(self, to: int, data: Buffer, label: str, phase: str = "offline") -> None:
        """Send to one rank, which calls `receive`. Counts no round, and never waits for the peer.

        ``data`` is handed over, and errors are raised, as in `exchange`. Only a dealer is held back, lest it fill
        memory: while a party is 1,024 messages or 64 MiB behind. So it gives all parties a step's material in turn.
        """
        self._stream(FrameType.STREAM, to, flat(data), label, phase)

    def receive(
        self, source: int, label: str, size: int | None = None, limit: int = _LIMIT, phase: str = "offline"
    ) -> memoryview:
        """Receive what rank ``source`` passed to `send`. Counts no round.

        Arguments:
            size: how many bytes are wanted; None accepts any number up to ``limit``.
            limit: most bytes that memory is taken for.

        Returns:
            Flat, writable, fresh memory. Raises as `exchange` does.
        """
        return self._receive(FrameType.STREAM, source, label, size=size, limit=limit, phase=phase)

    def flush(self) -> None:
        """Wait until all bytes handed over in `exchange` and `send` may be changed; may wait for peers to receive."""
        try:
            self.channel.flush()
        except JointfitError as error:
            self._fail_on(error)
            raise

    # Setup ----------------------------------------------------------------------------------------------------------

    def broadcast(self, source: int, data: bytes | None, label: str, *, limit: int = 1 << 26) -> bytes:
        """Rank ``source`` gives ``data`` to all; the other ranks pass None. Counted in phase "setup".

        Security: a cheating source could tell different ranks different things; `agree` on a hash where that matters.
        """
        if (data is None) == (self.rank == source):
            raise ConfigurationError(f"rank {self.rank} passed {bool(data)}; want data from rank {source} alone")
        if data is None:
            return bytes(self._receive(FrameType.SETUP, source, label, size=None, limit=limit, phase="setup"))
        for to in self._others():
            self._stream(FrameType.SETUP, to, flat(data), label, "setup")
        return data

    def agree(self, label: str, value: bytes) -> None:
        """Compare a short public value (at most 4,096 bytes) among all ranks. Counted in phase "setup".

        Raises:
            DisagreementError: on every rank, if not all are equal; says which ranks announced what, if printable.
        """
        if len(value) > _LONGEST_VALUE:
            raise ConfigurationError(f"value of {len(value)} bytes; want at most {_LONGEST_VALUE}")
        for to in self._others():
            self._stream(FrameType.SETUP, to, flat(value), label, "setup")
        values = {self.rank: value}
        for source in self._others():
            data = self._receive(FrameType.SETUP, source, label, size=None, limit=_LONGEST_VALUE, phase="setup")
            values[source] = bytes(data)
        if any(other != value for other in values.values()):
            text, odd = difference(values)
            error = DisagreementError(f"no agreement on '{label}': {text}", rank=odd)
            self._fail_on(error)
            raise error

    # End ------------------------------------------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """End the session because the program raised ``error``; every other rank raises an error that names this one.

        Peers learn the type of the error, and its message only if it is a JointfitError. Never raises; does nothing
        if the session is over.
        """
        if not self._over:
            self._over = f"it failed with {type(error).__name__}"
            self.channel.abort(Failure.of(error, self.rank))

    def close(self) -> None:
        """End the session orderly; waits for the other ranks to do so too. Does nothing if the session is over.

        Raises:
            JointfitError: a peer failed before it closed; see `Channel.close`.
        """
        if not self._over:
            try:
                if self.before_waiting is not None:
                    self.before_waiting()
                self.observer.waits()
                self.channel.close()
                self.observer.goes_on()
            except JointfitError as error:
                self._fail_on(error)
                raise
            self._over = "it was closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
        else:
            self.fail(error)

    # Frames ---------------------------------------------------------------------------------------------------------

    def _others(self) -> Iterable[int]:
        return (rank for rank in range(self.size) if rank != self.rank)

    def _link(self, rank: int) -> Link:
        if rank not in self._links:
            raise ConfigurationError(f"rank {rank} is no peer of rank {self.rank}; want another rank below {self.size}")
        return self._links[rank]

    def _send(self, kind: FrameType, to: int, label: bytes, digest: bytes, view: memoryview) -> None:
        if self._over:
            raise self._ended(label.decode())
        link = self._link(to)
        if kind != FrameType.STREAM and self.before_waiting is not None:
            self.before_waiting()
        if self.limits is not None:
            self.limits.before_sending(view.nbytes)
        header = Header(kind, link.sent, view.nbytes, self.session, digest, label)
        self.channel.send(to, header.pack(), view)
        link.sent += 1
        self.counts.overhead_bytes += HEADER_SIZE

    def _stream(self, kind: FrameType, to: int, view: memoryview, label: str, phase: str) -> None:
        link = self._link(to)
        try:
            if kind == FrameType.STREAM and self.role is Role.DEALER:
                self._hold_back(to, link, label, view.nbytes)
            link.digest_out = advance(link.digest_out, label, view.nbytes, -1)
            self._send(kind, to, label.encode("ascii", "replace")[:32], link.digest_out, view)
        except JointfitError as error:
            self._fail_on(error, label)
            raise
        self._sent(self.counts.line(phase, label), to, view.nbytes, label, phase)

    def _receive(
        self, kind: FrameType, source: int, label: str, *, size: int | None, limit: int, phase: str
    ) -> memoryview:
        link = self._link(source)
        self.observer.waits()
        try:
            header = self._header(source, label, size)
            digest = advance(link.digest_in, label, header.length, -1)
            if header.type != kind or header.digest != digest or size not in (None, header.length):
                raise disagreement(self.rank, source, label, size, header)
            if header.length > limit:
                text = f"rank {source} announced {header.length} bytes for '{label}'; want at most {limit}"
                raise WireError(text, rank=source)
            link.digest_in = digest
            data = self._payload(source, label, header.length, None)
            if kind == FrameType.STREAM and source == self.dealer and link.flow.passes(header.length):
                self._send(FrameType.CREDIT, source, b"credit", bytes(8), memoryview(b""))
        except JointfitError as error:
            self._fail_on(error, label)
            raise
        self._received(self.counts.line(phase, label), source, header.length, label, phase)
        return data

    def _sent(self, line: Count, to: int, size: int, label: str, phase: str) -> None:
        self.counts.sent(line, to, size)
        self.observer.sent(to, self._links[to].sent - 1, size, label, phase)

    def _received(self, line: Count, source: int, size: int, label: str, phase: str) -> None:
        self.counts.received(line, source, size)
        self.observer.goes_on()
        self.observer.received(source, self._links[source].received - 1, size, label, phase)

    def _hold_back(self, to: int, link: Link, label: str, size: int) -> None:
        """Wait until the dealer's stream to a rank is within two marks; see links.Flow."""
        while link.flow.ahead >= 2:
            self.observer.waits()
            header = self._any_header(to, label, None)
            if header.type != FrameType.CREDIT:
                raise disagreement(self.rank, to, f"credit for {label}", 0, header)
            link.flow.ahead -= 1
            self.observer.goes_on()
        link.flow.ahead += link.flow.passes(size)

    def _header(self, source: int, label: str, size: int | None) -> Header:
        """The next header of a rank, checked but for its digest; credits are taken note of on the way."""
        if self.before_waiting is not None:
            self.before_waiting()
        while (header := self._any_header(source, label, size)).type == FrameType.CREDIT:
            if self.role is not Role.DEALER or header.length:
                raise WireError(f"unexpected credit from rank {source} for '{label}'", rank=source)
            self._links[source].flow.ahead -= 1
        return header

    def _any_header(self, source: int, label: str, size: int | None) -> Header:
        if self._over:
            raise self._ended(label)
        link = self._link(source)
        if self.limits is not None:
            self.limits.before_waiting(self.channel)
        try:
            header = Header.parse(self.channel.receive_header(source))
        except DeadlineError as error:
            raise (error if error.relayed else self._late(source, label, size)) from error.__cause__
        except WireError as error:
            raise WireError(f"malformed frame from rank {source}: {error}", rank=source) from None
        if header.session != self.session and not (self.session == bytes(16) and header.type == FrameType.SETUP):
            raise WireError(f"frame of another session from rank {source} for '{label}'", rank=source)
        if header.sequence != link.received:
            text = f"frame {header.sequence} from rank {source} for '{label}'; want {link.received}"
            raise WireError(text, rank=source)
        link.received += 1
        return header

    def _payload(self, source: int, label: str, size: int, room: memoryview | None) -> memoryview:
        if room is None:
            room = np.empty(size, np.uint8).data
        elif room.nbytes != size or room.readonly:
            raise ConfigurationError(f"room of {room.nbytes} bytes for rank {source}; want {size}, writable")
        if size:
            if self.limits is not None:
                self.limits.before_waiting(self.channel)
            try:
                self.channel.receive_payload(source, room)
            except DeadlineError as error:
                raise (error if error.relayed else self._late(source, label, size)) from error.__cause__
        return room

    def _late(self, source: int, label: str, size: int | None) -> JointfitError:
        waited = self.channel.deadline
        return (self.limits and self.limits.over()) or late(self.rank, source, label, size, waited, self.counts.rounds)

    def _ended(self, label: str) -> JointfitError:
        return JointfitError(f"nothing can be sent or received for '{label}': the session is over, {self._over}")

    def _fail_on(self, error: JointfitError, label: str = "") -> None:
        """End the session on an error that other ranks have to hear of."""
        if isinstance(error, PeerError) and label:
            error.during = f" while waiting for '{label}' (round {self.counts.rounds})"
        if not isinstance(error, ConfigurationError):
            self.fail(error)
