"""A small job of two hospitals and a dealer, its members' identities and tables, and the processes that run it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from mpc.cli import main
from parties.identity import fingerprint, read_certificate

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("north", "south", "dealer")
JOB = """\
format = 1
name = "small"
[limits]
seconds = 100
deadline = 30
connect = 40
breaks = 5
[checkpoints]
every = {every}
{relay}
[[parties]]
name = "north"
roles = ["owner", "computing", "receiver"]
{north}
[[parties]]
name = "south"
roles = ["owner", "computing", "receiver"]
{south}
[[parties]]
name = "dealer"
roles = ["dealer"]
{dealer}
[data]
split = "rows"
label = "sick"
columns = [
  {{ name = "age", unit = 50, lowest = 0, highest = 120 }},
  {{ name = "dose", lowest = 0, highest = 1000, log = true }},
  {{ name = "kind", categories = ["a", "b", "c"] }},
  {{ name = "sick", lowest = 0, highest = 1 }},
]
[model]
{model}
{reveals}
"""
MODEL = 'estimator = "LogisticRegression"\nparameters = { epochs = 3, batch = 20, lr = 0.1, seed = 1 }'
REVEALS = """\
[[reveals]]
what = "model"
to = ["north", "south"]
[[reveals]]
what = "loss"
to = ["north"]
times = 3
[[reveals]]
what = "score"
to = ["north"]
"""
COLUMNS = ("age", "dose", "kind", "sick")


def rows_of(name: str) -> list[tuple[str, ...]]:
    """A member's table: numbers that appear nowhere else."""
    generator = torch.Generator().manual_seed(len(name) + ord(name[0]))
    count = {"north": 41, "south": 36}[name]
    age = 20 + 70 * torch.rand(count, generator=generator)
    dose = 300 * torch.rand(count, generator=generator)
    kind = torch.randint(3, (count,), generator=generator)
    sick = (age / 50 + (kind == 2) - 1.5 + 0.3 * torch.randn(count, generator=generator) > 0).int()
    return [
        (f"{a:.4f}", f"{d:.4f}", "abc"[int(k)], str(int(s))) for a, d, k, s in zip(age, dose, kind, sick, strict=True)
    ]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Place:
    """A folder with keys, tables and the job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in NAMES}
        self.started: list[Process] = []
        self.secret = folder / "secret"
        self.secret.write_text("correct horse\n")
        (folder / "data").mkdir()
        for name in NAMES:
            locked = ["--passphrase-file", str(self.secret)] if name == "dealer" else []
            assert main(["keygen", name, "--out", str(folder), *locked]) == 0
            if name != "dealer":
                lines = [",".join(row) for row in [COLUMNS, *rows_of(name)]]
                (folder / "data" / f"{name}.csv").write_text("\n".join(lines) + "\n")
        frame = pd.read_csv(folder / "data" / "south.csv")
        frame.to_parquet(folder / "data" / "south.parquet")

    def start(self, *arguments: str) -> Process:
        """Run a command as a user does; it is killed with `end` at the latest."""
        process = Process(list(arguments), self.folder)
        self.started.append(process)
        return process

    def start_all(self, jobs: dict[str, Path], *more: str) -> dict[str, Process]:
        """All members at once, until they have ended."""
        started = {name: self.start(*self.arguments(name, job), *more) for name, job in jobs.items()}
        return {name: process.wait() for name, process in started.items()}

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            process.kill()

    def job(self, file: str = "job.toml", *, model=MODEL, reveals=REVEALS, every=0, relay="", hidden=()) -> Path:
        """Write a job; members in ``hidden`` have no address."""
        members = {}
        for name in NAMES:
            pinned = f'fingerprint = "{fingerprint(read_certificate(self.folder / f"{name}.crt"))}"'
            address = "" if name in hidden else f'address = "127.0.0.1:{self.ports[name]}"\n'
            members[name] = address + pinned
        path = self.folder / file
        path.write_text(JOB.format(model=model, reveals=reveals, every=every, relay=relay, **members))
        return path

    def arguments(self, name: str, job: Path, command: str = "") -> list[str]:
        """``jointfit party …`` of a member."""
        table = {"north": "north.csv", "south": "south.parquet"}.get(name)
        data = ["--data", str(self.folder / "data" / table)] if table else ["--passphrase-file", str(self.secret)]
        kind = command or ("dealer" if name == "dealer" else "party")
        key = ["--key", str(self.folder / f"{name}.key"), "--state", str(self.folder / "state" / name)]
        return [kind, "--job", str(job), "--as", name, *data, *key]


class Process:
    """A command in a process of its own."""

    def __init__(self, arguments: list[str], cwd: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOINTFIT_", "OMPI_", "PMI"))}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mpc.cli", *arguments],
            env=kept | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid
        self.code, self.out, self.err = 0, "", ""

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def wait(self) -> Process:
        try:
            self.out, self.err = self._process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.out, self.err = self._process.communicate()
            self.code = -9
            raise AssertionError(f"it hangs: {self.out}\n{self.err}") from None
        self.code = self._process.returncode
        return self

    @property
    def said(self) -> str:
        """On both outputs."""
        return self.out + self.err

    def __repr__(self) -> str:
        return f"code {self.code}\n{self.out}\n{self.err}"


def values_in(text: str) -> list[str]:
    """The entries of the tables that a text holds, beyond what any text holds."""
    entries = {entry for name in NAMES[:2] for row in rows_of(name) for entry in row[:2]}
    return sorted(entries & set(re.findall(r"\d+\.\d{4}", text)))
