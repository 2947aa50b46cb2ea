"""The conformance suite for transports: one call of `check_channel` checks somebody's own.

A transport is described by ``make(n, program)``: it runs a program on n ranks without a dealer, each with the Party of
its rank, and returns what they returned, in order of rank. Programs are functions of this file and return what
JSON can hold, so that ``make`` may start processes by ``python -m parties.testing NAME FOLDER``; see `by_processes`.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parties.channel import SMALL
from parties.errors import JointfitError
from parties.frames import FrameType, Header, advance
from parties.prg import Generator, derive
from parties.roles import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parties.party import Party

    Program = Callable[[Party], Any]
    Make = Callable[[int, Program], list[Any]]

__all__ = ["ConformanceError", "by_processes", "check_channel"]

_SIZES = (0, 1, 7, 8, 4097, SMALL - 1, SMALL, SMALL + 1, 1 << 20, 8 << 20)
_LIMIT = 5.0


class ConformanceError(JointfitError):
    """A transport does not keep the contract of Channel; the message says which part."""


def check_channel(
    make: Make, *, ranks: Sequence[int] = (2, 3, 4), failures: bool = True, large: bool = False
) -> None:
    """Check a transport against the contract of `Channel`.

    Arguments:
        make: runs a program; see the top of the file.
        ranks: with how many ranks the orderly part is run.
        failures: also try, with two or three ranks, a rank that fails, one that ends early, and four that lie.
        large: also exchange 256 MiB in both directions at once.

    Raises:
        ConformanceError: a check failed.
        Exception: whatever ``make`` raises.

    >>> def make(n, program):
    ...     return parties.simulate(n, program, dealer=False)
    >>> parties.testing.check_channel(make, ranks=[2], failures=False)
    """
    for n in ranks:
        _equal(f"orderly run of {n} ranks", make(n, orderly), ["fine"] * n)
    if large:
        _equal("exchange of 256 MiB", make(2, enormous), ["fine"] * 2)
    if failures:
        _check_failures(make)


def _check_failures(make: Make) -> None:
    _failure("a rank that raises", make(3, one_raises), "PeerFailed", 2)
    _failure("a rank that ends its program early", make(3, one_ends), "PeerLost", 2)
    for program in (lies_about_magic, lies_about_length, lies_about_size, replays):
        told = make(2, program)
        if told[0]["error"] != "WireError" or told[0]["rank"] != 1:
            raise ConformanceError(f"{program.__name__}: rank 0 got {told[0]}; want a WireError that names rank 1")
        if told[1]["rank"] != 0:
            raise ConformanceError(f"{program.__name__}: rank 1 got {told[1]}; want an error that names rank 0")


def by_processes(launch: Callable[[int, list[str]], object]) -> Make:
    """A ``make`` for transports whose ranks are processes.

    Arguments:
        launch: starts a command on n ranks and waits for them; each must find its peers by `roles.connect`.
    """

    def make(n: int, program: Program) -> list[Any]:
        with tempfile.TemporaryDirectory(prefix="jointfit-") as folder:
            ended = launch(n, [sys.executable, "-m", "parties.testing", program.__name__, folder])
            try:
                return [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(n)]
            except FileNotFoundError as error:
                raise ConformanceError(
                    f"{program.__name__}: {Path(error.filename).stem} of {n} ranks left no result; the launcher gave "
                    f"{ended!r}"
                ) from error

    return make


# Programs that end well -------------------------------------------------------------------------------------------


def orderly(party: Party) -> str:
    """Everything that must work."""
    for size in _SIZES:
        _all_pairs(party, size)
    _many_before_any_receive(party)
    _one_direction(party)
    _ring(party)
    _reused_memory(party)
    _last_words(party)
    return "fine"


def enormous(party: Party) -> str:
    """256 MiB both ways at once."""
    _all_pairs(party, 256 << 20)
    return "fine"


def _others(party: Party) -> list[int]:
    """All other ranks: a transport links clients as it does computing parties."""
    return [rank for rank in range(party.size) if rank != party.rank]


def _all_pairs(party: Party, size: int) -> None:
    """All pairs exchange at once, in both directions."""
    outgoing = {peer: _pattern(party.rank, peer, size) for peer in _others(party)}
    incoming = party.exchange(outgoing, dict.fromkeys(_others(party), size), f"all pairs {size}")
    for peer, data in incoming.items():
        _content(f"{size} bytes from rank {peer}", data, _pattern(peer, party.rank, size))
    party.flush()


def _many_before_any_receive(party: Party) -> None:
    """Sends must not wait for receives, and keep their order."""
    for number in range(2000):
        for peer in _others(party):
            party.send(peer, number.to_bytes(4, "big") * 25, "many")
    for peer in _others(party):
        for number in range(2000):
            got = party.receive(peer, "many", 100)
            _content(f"message {number} of rank {peer}", got, number.to_bytes(4, "big") * 25)


def _one_direction(party: Party) -> None:
    """A rank that only sends, as a dealer does, runs ahead of those that receive."""
    if party.rank == 0:
        for number in range(40):
            for peer in _others(party):
                party.send(peer, bytes([number]) * 200_000, "stream")
    else:
        time.sleep(0.1)
        for number in range(40):
            _content(f"part {number} of the stream", party.receive(0, "stream"), bytes([number]) * 200_000)


def _ring(party: Party) -> None:
    """Each sends to the next rank and receives from the one before."""
    after, before = (party.rank + 1) % party.size, (party.rank - 1) % party.size
    room = memoryview(bytearray(1 << 20))
    got = party.exchange({after: _pattern(party.rank, after, 1 << 20)}, {before: 1 << 20}, "ring", into={before: room})
    _content("what came around the ring", got[before], _pattern(before, party.rank, 1 << 20))


def _reused_memory(party: Party) -> None:
    """Small payloads may be changed after the send, large ones after a flush."""
    for size in (8, SMALL, SMALL + 1):
        memory = bytearray(b"a" * size)
        for peer in _others(party):
            party.send(peer, memory, "reuse")
        if size > SMALL and party.rank == 0:
            party.flush()
        if size <= SMALL or party.rank == 0:
            memory[:] = b"b" * size
        for peer in _others(party):
            _content(f"{size} bytes that were changed later", party.receive(peer, "reuse", size), b"a" * size)


def _last_words(party: Party) -> None:
    """What was sent right before the close arrives."""
    if party.rank == 0:
        for peer in _others(party):
            party.send(peer, _pattern(0, peer, 4 << 20), "last words")
    else:
        time.sleep(0.2)
        _content("what was sent before a close", party.receive(0, "last words"), _pattern(0, party.rank, 4 << 20))


# Programs that fail -----------------------------------------------------------------------------------------------


def one_raises(party: Party) -> dict[str, Any]:
    """The last rank fails with an error whose message is private; the others wait for it, or for each other."""

    def wait() -> None:
        _all_pairs(party, 8)
        party.exchange({}, {(party.rank + 1) % party.size: 8}, "never")

    if party.rank < party.size - 1:
        return _caught(wait)
    _all_pairs(party, 8)
    party.fail(KeyError("patient 7"))
    return {"error": "own"}


def one_ends(party: Party) -> dict[str, Any]:
    """The last rank closes, though the others still wait for it."""
    last = party.size - 1

    def wait() -> None:
        _all_pairs(party, 8)
        party.exchange({}, {last: 8}, "never")

    if party.rank < last:
        return _caught(wait)
    _all_pairs(party, 8)
    _caught(party.close)
    return {"error": "own"}


def lies_about_magic(party: Party) -> dict[str, Any]:
    """Rank 1 sends 80 random-looking bytes for a header."""
    return _lie(party, bytes(range(80)), b"")


def lies_about_length(party: Party) -> dict[str, Any]:
    """Rank 1 announces half a terabyte."""
    return _lie(party, _header(party, length=1 << 39).pack(), b"")


def lies_about_size(party: Party) -> dict[str, Any]:
    """Rank 1 announces more bytes than the format can hold."""
    return _lie(party, _header(party, length=1 << 63).pack(), b"")


def replays(party: Party) -> dict[str, Any]:
    """Rank 1 sends a frame with a number that was used before."""
    return _lie(party, _header(party, length=4)._replace(sequence=0).pack(), b"abcd")


def _header(party: Party, length: int) -> Header:
    """A header that rank 0 would accept from rank 1, but for what the caller makes of it."""
    link = party._links[1 - party.rank]
    digest = advance(link.digest_out, "lie", length, -1) if length < 1 << 63 else bytes(8)
    return Header(FrameType.STREAM, link.sent, length, party.session, digest, b"lie")


def _lie(party: Party, header: bytes, payload: bytes) -> dict[str, Any]:
    if party.rank == 0:
        return _caught(lambda: party.receive(1, "lie", limit=1 << 20))
    party.channel.send(0, header, memoryview(payload))
    return _caught(lambda: party.receive(0, "answer"))


# Helpers ----------------------------------------------------------------------------------------------------------


def _caught(action: Callable[[], object]) -> dict[str, Any]:
    start = time.monotonic()
    try:
        action()
    except JointfitError as error:
        return {
            "error": type(error).__name__,
            "rank": error.rank,
            "text": str(error),
            "seconds": time.monotonic() - start,
        }
    return {"error": None, "rank": None, "text": "no error", "seconds": time.monotonic() - start}


@functools.lru_cache(maxsize=8)
def _pattern(sender: int, receiver: int, size: int) -> bytes:
    return bytes(Generator(derive(bytes(32), sender, receiver, size)).take(size))


def _content(what: str, got: memoryview, want: bytes) -> None:
    if got != want:
        raise ConformanceError(f"{what}: {len(got)} bytes that differ from the {len(want)} bytes that were sent")


def _equal(what: str, got: object, want: object) -> None:
    if got != want:
        raise ConformanceError(f"{what}: got {got!r}; want {want!r}")


def _failure(what: str, told: list[Any], kind: str, origin: int) -> None:
    for rank, each in enumerate(told):
        if rank == origin:
            continue
        if each["error"] != kind or each["rank"] != origin:
            raise ConformanceError(f"{what}: rank {rank} got {each}; want {kind} that names rank {origin}")
        if each["seconds"] > _LIMIT:
            raise ConformanceError(f"{what}: rank {rank} took {each['seconds']:.1f} s; want at most {_LIMIT:g}")
        if "patient" in each["text"]:
            raise ConformanceError(f"{what}: rank {rank} was told a private message: {each['text']}")


def _main(name: str, folder: str) -> None:
    """Run one program as one rank, and leave its result in a folder."""
    program: Program = globals()[name]
    with connect(dealer=False) as party:
        result = program(party)
        party.close()
        Path(folder, f"{party.rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    _main(*sys.argv[1:])
