"""The members of a job, as forked processes that run `jointfit party` and `jointfit dealer`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import mpc.cli
from parties.identity import read_certificate
from parties.needs import needs_of
from tests.faults.wire import Wire
from tests.faults.zygote import Child, Zygote

PROGRAM = Path(__file__).with_name("program.py")
NAMES = ("hospital_a", "hospital_b", "dealer")
TRIO = ("hospital_a", "hospital_b", "institute")
"""The members of a job without a dealer: the third computes and has no data."""

MEMBERS = {"additive": NAMES, "authenticated": NAMES, "replicated": TRIO, "verified": TRIO}

CLIENT = "clinic"
_ROLES = {
    "hospital_a": ["owner", "computing", "receiver"],
    "hospital_b": ["owner", "computing", "receiver"],
    "institute": ["computing"],
    CLIENT: ["owner"],
    "dealer": ["dealer"],
}
_numbers = itertools.count(1)
_PORT = 7401


def run_command(arguments: list[str], patches: list[str]) -> int:
    """In a child: the command line, with what a test has to change of it; see `tests.faults.patches`."""
    if patches:
        from tests.faults.patches import PATCHES

        with contextlib.ExitStack() as stack:
            for name in patches:
                stack.enter_context(PATCHES[name]())
            return mpc.cli.main(arguments)
    return mpc.cli.main(arguments)


@dataclass
class Identities:
    """Keys and certificates of all members, and of an impostor, made once."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*NAMES, TRIO[2], CLIENT, "impostor"):
            with contextlib.redirect_stdout(io.StringIO()):
                assert mpc.cli.main(["keygen", name, "--out", str(self.folder)]) == 0

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def der(self, name: str) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding

        return read_certificate(self.folder / f"{name}.crt").public_bytes(Encoding.DER)

    def fingerprint(self, name: str) -> str:
        return "sha256:" + hashlib.sha256(self.der(name)).hexdigest()


@dataclass
class Limits:
    """Of the jobs under test, in seconds: small ones, so that tests do not wait.

    A peer that is silent is noticed after five seconds and lost after the breaks; the deadline is longer, so that it is
    named, and not somebody who waits for it.
    """

    connect: float = 6.0
    deadline: float = 10.0
    breaks: float = 2.0
    every: int = 2


@dataclass
class Case:
    """A job: its files, its network, its processes."""

    folder: Path
    zygote: Zygote
    identities: Identities
    limits: Limits = field(default_factory=Limits)
    names: tuple[str, ...] = NAMES
    protocol: str = "additive"
    children: dict[str, Child] = field(default_factory=dict)
    scanned: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        number = next(_numbers)
        base = f"127.{1 + os.getpid() % 250}.{number // 60 % 250}"
        self.homes = {name: (f"{base}.{number % 60 * 4 + at + 1}", _PORT) for at, name in enumerate(self.names)}
        self.wire = Wire({name: self.identities.der(name) for name in (*self.names, "impostor")})
        fronts = {name: self.wire.front(name, home) for name, home in self.homes.items()}
        (self.folder / "train.py").write_bytes(PROGRAM.read_bytes())
        self.job = self.folder / "job.toml"
        self.job.write_text(self._job(fronts))

    def __enter__(self) -> Self:
        self.wire.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for child in self.children.values():
            child.signal(9)
        for child in self.children.values():
            child.wait(10)
        self.wire.__exit__(*error)

    def start(
        self,
        name: str,
        *,
        environ: dict[str, str] | None = None,
        patches: list[str] | None = None,
        identity: str = "",
        job: Path | None = None,
        resume: bool = False,
    ) -> Child:
        """Start a member."""
        host, port = self.homes[name]
        arguments = [
            "dealer" if name == "dealer" else "party", "--job", str(job or self.job), "--as", name,
            "--key", str(self.identities.key(identity or name)), "--listen", f"{host}:{port}",
            "--state", str(self.state(name)), *(["--resume"] if resume else []),
        ]  # fmt: skip
        if "owner" in _ROLES[name]:
            arguments += ["--data", str(self._table(name))]
        child = self.zygote.spawn("tests.faults.members:run_command", arguments, patches or [], environ=environ)
        self.children[name] = child
        return child

    def state(self, name: str) -> Path:
        """The state folder of a member."""
        return self.folder / f"state-{name}"

    def weights(self, name: str) -> list[float] | None:
        """The weights that a member learned; None if nothing was revealed to it."""
        path = self.state(name) / "weights.json"
        return json.loads(path.read_text()) if path.exists() else None

    def reveals(self, name: str) -> list[dict[str, Any]]:
        """The log of reveals of a member."""
        path = self.state(name) / "reveals.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def all_reach(self, phase: str, timeout: float = 20.0) -> None:
        """Let all members come to a phase, and hold them there."""
        end = time.monotonic() + timeout
        while True:
            found = {name: child.reached(max(0.1, end - time.monotonic())) for name, child in self.children.items()}
            assert len(set(found.values())) == 1, f"{found}; want all at {phase!r}:\n{self.said()}"
            if phase in found.values():
                return
            assert None not in found.values(), f"they ended before {phase!r}:\n{self.said()}"
            for child in self.children.values():
                child.go()

    def go(self, *names: str) -> None:
        """Let members go on, to the end."""
        for name in names or tuple(self.children):
            for _ in range(4):
                self.children[name].go()

    def said(self) -> str:
        """What all wrote, for messages of failed tests."""
        each = [(name, child.code, child.said.decode("utf-8", "replace")) for name, child in self.children.items()]
        return "\n".join(f"--- {name}: {code}\n{said}" for name, code, said in each)

    def _table(self, name: str) -> Path:
        path = self.folder / f"{name}.csv"
        if not path.exists():
            path.write_text("a,ill\n1,0\n2,1\n")
        return path

    def _job(self, fronts: dict[str, tuple[str, int]]) -> str:
        limits, stores = self.limits, needs_of(self.protocol).stores
        lines = [
            "format = 1", 'name = "faults"',
            "[protocol]", f'name = "{self.protocol}"',
            "[limits]", "seconds = 60", f"connect = {limits.connect}", f"deadline = {limits.deadline}",
            f"breaks = {limits.breaks}", "[checkpoints]", f"every = {limits.every if stores else 0}",
        ]  # fmt: skip
        for name in self.names:
            host, port = fronts[name]
            lines += ["[[parties]]", f'name = "{name}"', f"roles = {json.dumps(_ROLES[name])}",
                      f'address = "{host}:{port}"', f'fingerprint = "{self.identities.fingerprint(name)}"']  # fmt: skip
        lines += [
            "[data]", 'split = "rows"', 'label = "ill"',
            'columns = [{ name = "a", lowest = 0, highest = 9 }, { name = "ill", lowest = 0, highest = 1 }]',
            "[model]", 'program = "train.py"', f'sha256 = "{hashlib.sha256(PROGRAM.read_bytes()).hexdigest()}"',
            "[[reveals]]", 'what = "model"', 'to = ["hospital_a", "hospital_b"]',
        ]  # fmt: skip
        return "\n".join(lines) + "\n"
