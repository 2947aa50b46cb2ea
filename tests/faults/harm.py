"""One cell of the matrix: a job in which something goes wrong, and what is wrong with how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import wire
from tests.faults.members import MEMBERS, NAMES, Case, Identities, Limits
from tests.faults.table import FAULTS, MATRICES, RIGHT, ROLES, Cell, Either, Ends, outcome_of
from tests.faults.zygote import Zygote

WEIGHTS = (1.391147, -1.913591, 0.380548, -0.063332)
"""What the undisturbed run gives; test_matrix.py compares it with plain PyTorch."""

CLOSE = 5e-5
"""Six steps with 20 fraction bits differ by some 2^-18 from run to run."""

_LIES = {
    "duplicate a frame": "duplicate",
    "truncate a frame": "truncate",
    "corrupt a frame": "corrupt",
    "replay a frame": "replay",
    "reflect a frame": "reflect",
    "foreign session": "foreign",
}
_CHANGES: dict[str, Callable[[bytes], list[bytes]]] = {
    "duplicate on the wire": wire.duplicate,
    "truncate on the wire": wire.truncate,
    "corrupt on the wire": wire.corrupt,
}

_CROWD = threading.Semaphore(4)
"""Cases that start at once; more of them would be slow to connect."""

_LIMITS = {
    "cut briefly": Limits(deadline=20, breaks=10),  # where many cases run at once it may take more than two
    "port scanned": Limits(deadline=50, breaks=30),  # handshakes may take ten seconds
    "stop briefly": Limits(connect=20, deadline=30, breaks=15),  # the links count as broken after five
}


def run_cell(
    folder: Path, zygote: Zygote, identities: Identities, cell: Cell, protocol: str = "additive"
) -> list[str]:
    """Run a cell; what did not end as the table says. Without a dealer the role is a member's name, who is a party."""
    fault, phase, role = cell
    victim = ROLES.get(role, role)
    outcome = outcome_of(MATRICES.get(protocol, FAULTS), cell)
    with Case(folder, zygote, identities, _LIMITS.get(fault, Limits()), MEMBERS[protocol], protocol) as case:
        with _scanned(case, victim) if fault == "port scanned" and phase == "handshake" else contextlib.nullcontext():
            with _CROWD:
                _start(case, fault, phase, victim)
                scan = _harm(case, fault, phase, victim)
            with scan:
                began = time.monotonic()
                alive = [name for name in case.names if name != victim or outcome == RIGHT]
                late = began + _patience(case.limits)
                codes = {name: case.children[name].wait(max(0.1, late - time.monotonic())) for name in alive}
        wrong = [*_harmless(case, fault, phase, victim), *_judge(case, victim, outcome, codes)]
        return [f"{fault} × {phase} × {role}: {each}" for each in wrong] + ([case.said()] if wrong else [])


def _patience(limits: Limits) -> float:
    """How long survivors may take: the longest of the waits that can follow one another, and some for the machine."""
    return limits.connect + limits.deadline + limits.breaks + 5


def _start(case: Case, fault: str, phase: str, victim: str) -> None:
    """Start all members; the victim with what it does wrong."""
    for name in case.names:
        given: dict[str, object] = {}
        if name == victim:
            first = phase == "handshake"
            if fault in _LIES:
                given = {"patches": [f"lie {_LIES[fault]}"], "environ": {"TEST_FAULT": f"{phase}:{_LIES[fault]}"}}
            elif fault == "disk full":
                given = {"patches": ["full"]} if first else {"environ": {"TEST_FAULT": f"{phase}:disk"}}
            elif fault == "false part":
                given = {"environ": {"TEST_FAULT": f"{phase}:part"}}
            elif fault == "wrong certificate":
                given = {"identity": "impostor", "patches": ["careless"]}
            elif fault == "wrong version":
                given["patches"] = ["old"]
            elif fault == "wrong job":
                given["job"] = _copy(case, case.job.read_text() + "# one line more\n", "")
            elif fault == "wrong program" and first:
                given["job"] = _copy(case, case.job.read_text(), "# one line more\n")
            elif fault == "wrong program":
                given["environ"] = {"TEST_FAULT": f"{phase}:deviate"}
            if first and fault in _CHANGES:
                case.wire.change(victim, _CHANGES[fault], 100)
            if first and fault == "replay on the wire":
                case.wire.change(victim, lambda data: [data, data[: len(data) // 2], data], 100)
            if first and fault == "delay":
                case.wire.delay(victim, 1.5)
        case.start(name, **given)  # type: ignore[arg-type]


def _copy(case: Case, job: str, more: str) -> Path:
    """Another folder with a job and its program."""
    other = case.folder / "other"
    other.mkdir()
    (other / "job.toml").write_text(job)
    (other / "train.py").write_text((case.folder / "train.py").read_text() + more)
    return other / "job.toml"


def _harm(case: Case, fault: str, phase: str, victim: str) -> contextlib.AbstractContextManager[object]:
    """Let the members come to the phase, do what harm comes from outside, and let them go on."""
    child = case.children[victim]
    if phase == "handshake":
        if fault in ("kill", "stop", "stop briefly", "cut", "cut briefly"):
            case.wire.wait_for_bytes(victim, 1500, 10)
    else:
        case.all_reach(phase)
    scan: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if fault == "kill":
        child.signal(signal.SIGKILL)
        child.wait(5)
    elif fault in ("stop", "stop briefly"):
        child.signal(signal.SIGSTOP)
    elif fault in ("cut", "cut briefly"):
        case.wire.cut(victim)
    elif phase != "handshake":
        if fault in _CHANGES:
            case.wire.change(victim, _CHANGES[fault], 100)
        elif fault == "replay on the wire":
            before = case.wire.earlier(victim)
            case.wire.change(victim, lambda data: [before, data], 100)
        elif fault == "delay":
            case.wire.delay(victim, 1.5)
        elif fault == "port scanned":
            scan = _scanned(case, victim)
    if phase == "handshake":
        threading.Thread(target=_go_on, args=(case,), daemon=True).start()
    else:
        case.go()
    if fault == "cut briefly":
        time.sleep(0.7)
        case.wire.mend()
    if fault == "stop briefly":
        threading.Timer(6.5, child.signal, [signal.SIGCONT]).start()
    return scan


def _go_on(case: Case) -> None:
    """Let all members go on wherever they stop."""
    for _ in range(100):
        case.go()
        if all(child.code is not None for child in case.children.values()):
            return
        time.sleep(0.1)


def _harmless(case: Case, fault: str, phase: str, victim: str) -> Iterator[str]:
    """Why nothing went wrong at all, so that the case shows nothing."""
    said = {name: child.said.decode("utf-8", "replace") for name, child in case.children.items()}
    if not case.wire.changed(victim):
        yield "the network changed nothing"
    if fault in _LIES and "test: lied" not in said[victim]:
        yield f"{victim} told no lie"
    if fault == "false part" and "test: opened a false part" not in said[victim]:
        yield f"{victim} opened no false part"
    broken = fault in (*_CHANGES, "replay on the wire", "cut briefly", "stop briefly") and phase != "handshake"
    over = phase == "reveal" and victim == "dealer"  # what comes after its last frame is not always read
    if broken and not over and not any(" mended" in each for each in said.values()):
        yield "no link was mended"
    if fault == "port scanned" and not case.scanned:
        yield "nobody knocked"


def _judge(case: Case, victim: str, outcome: object, codes: dict[str, int | None]) -> list[str]:
    """What is wrong with how a case ended."""
    if isinstance(outcome, Either):
        well = {*codes.values(), case.children[victim].wait(5)} == {0}
        outcome = RIGHT if well else outcome.ends
    wrong = [f"{name} still runs" for name, code in codes.items() if code is None]
    if outcome == RIGHT:
        return [*wrong, *_right(case, codes)]
    assert isinstance(outcome, Ends)
    for name, code in codes.items():
        if code is not None:
            wrong += [f"{name} {each}" for each in _ended(case, name, victim, outcome, code)]
    return wrong


def _right(case: Case, codes: dict[str, int | None]) -> Iterator[str]:
    for name, code in codes.items():
        if code not in (0, None):
            yield f"{name} ended with {code}; want 0"
    for name in NAMES[:2]:
        weights = case.weights(name)
        if weights is None or max(abs(a - b) for a, b in zip(weights, WEIGHTS, strict=True)) > CLOSE:
            yield f"{name} has weights {weights}; want {WEIGHTS}"


def _ended(case: Case, name: str, victim: str, outcome: Ends, code: int) -> Iterator[str]:
    """What is wrong with how one survivor ended."""
    if code not in outcome.codes:
        yield f"ended with {code}; want one of {sorted(outcome.codes)}"
    said = case.children[name].said.decode("utf-8", "replace")
    last = next((line for line in reversed(said.splitlines()) if line.startswith("jointfit: ")), "")
    named = [victim] if not outcome.unnamed else [other for other in case.names if other != name]
    if not any(other in last for other in named):
        yield f"said {last!r}; want an error that names {' or '.join(named)}"
    if not outcome.opened and any(entry["event"] == "done" for entry in case.reveals(name)):
        yield "took part in a reveal"
    if not outcome.opened and case.weights(name) is not None:
        yield "learned the model"


@contextlib.contextmanager
def _scanned(case: Case, victim: str) -> Iterator[None]:
    """Strangers at a member's door: hundreds that say nothing, and some that say what strangers say."""
    over = threading.Event()
    held: list[socket.socket] = []
    hello = bytes.fromhex("160301020001fc0303") + os.urandom(100)

    def knock(data: bytes) -> socket.socket:
        stranger = socket.create_connection(case.homes[victim], 1, source_address=("127.66.0.1", 0))
        try:
            stranger.settimeout(1)
            stranger.sendall(data)
        except OSError:
            stranger.close()
            raise
        case.scanned += 1
        return stranger

    def scan() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.extend(knock(b"") for _ in range(300 - len(held)))
                for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000), hello, b"jointfit\1\0\xff\xff"):
                    knock(data).close()
            over.wait(0.01)

    thread = threading.Thread(target=scan, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for stranger in held:
            stranger.close()
