"""Every example in every `--help`, pasted into a shell.

The rule that a help keeps: its examples, pasted one after the other in one folder, all work. Each help gets a folder of
its own, with the files that examples name: tables, keys, a job, a program, what an earlier run left. Nothing in the
examples is replaced but what `REPLACED` says: the relay's port, by a free one, and the seconds for which an estimate
measures. The job has addresses on loopback and the fingerprints of the keys. A new command needs nothing here, as long
as its examples do with these files.

What an example takes part in needs the others: while one member runs `check`, `party` or `dealer`, the others do, and
begin a run with empty state folders, unless it resumes.
"""

import argparse
import contextlib
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from mpc.cli import make_parser
from parties.identity import fingerprint, read_certificate
from tests.mpc.cli.members import free_port

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(400)]

OWNERS = ("hospital_a", "hospital_b")
NAMES = (*OWNERS, "dealer")
PROGRAM = """\
import argparse

import torch

import mpc

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--batch", type=int, default=12)
options = parser.parse_args()
features = torch.linspace(-1, 1, 24).reshape(12, 2)
labels = (features.sum(dim=1, keepdim=True) > 0).float()

with mpc.session() as session:
    x = session.share(features if session.rank == 0 else None, owner=0, shape=(12, 2))
    y = session.share(labels if session.rank == 1 else None, owner=1, shape=(12, 1))
    model = session.share_module(torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(options.epochs):
        for rows in torch.arange(12).split(options.batch):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    value = session.reveal(loss)
    if session.rank == 0:
        print(f"loss {value}")
"""
MAKES = {
    "keygen": ["hospital_?.key", "hospital_?.crt", "keys"],
    "init": ["job.toml", "data"],
    "run": ["pages"],
    "deal": ["deal"],
    "": ["hospital_a.key", "hospital_a.crt"],
}
"""What the examples of a help make themselves, and do not find."""
TYPED = {"jointfit keygen hospital_b --passphrase": "correct horse"}
ENDLESS = ("jointfit relay",)
TOGETHER = ("check", "party", "dealer")
"""Members' commands, which need the others."""
REPLACED = {"jointfit estimate ": "jointfit estimate --measure 1 ", ":7400": f":{free_port()}"}


def helps():
    parser = make_parser()
    commands = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return {"": parser.format_help()} | {name: each.format_help() for name, each in commands.choices.items()}


HELPS = helps()


def examples(text):
    """The commands in a help, without what stands beside them."""
    block = re.search(r"\nexamples:\n((?:  .*\n)+)", text)
    lines = re.findall(r"^ {2}(?! )(.*)$", block[1] if block else text, re.MULTILINE)
    found = [re.split(r" {3,}", line)[0].rstrip() for line in lines]
    commands = [line for line in found if line.startswith(("jointfit ", "sha256sum ", 'eval "$(jointfit '))]
    assert commands
    assert not block or commands == found, "in a block of examples each line that begins at its margin is a command"
    return commands


def table(seed):
    generator = np.random.default_rng(seed)
    age = generator.integers(20, 95, 14)
    size = generator.normal(2, 0.5, 14).round(2)
    frame = {"patient": np.arange(1000 * seed, 1000 * seed + 14), "ward": generator.integers(1, 4, 14), "age": age}
    return pd.DataFrame(frame | {"size": size, "malignant": (age / 50 + size > 3).astype(int)})


@pytest.fixture(scope="module")
def scene(tmp_path_factory, forks):
    """The folder with all that examples name, made by the commands themselves."""
    folder = tmp_path_factory.mktemp("scene")
    for seed, name in enumerate("ab", 1):
        table(seed).to_csv(folder / f"{name}.csv", index=False)
        table(seed).to_parquet(folder / f"{name}.parquet")
    table(3)[["patient", "size"]].to_csv(folder / "c.csv", index=False)
    for kind in ("csv", "parquet"):
        shutil.copy(folder / f"a.{kind}", folder / f"mine.{kind}")
    (folder / "train.py").write_text(PROGRAM)
    lines = [
        *(f"jointfit keygen {name}" for name in NAMES),
        "mkdir keys && cp *.key *.crt keys",
        *(f"jointfit columns {name}.csv --label malignant > {name}.toml" for name in "ab"),
        "jointfit init . --table hospital_a=a.csv --table hospital_b=b.csv --label malignant --drop patient",
        "jointfit deal -n 3 --out deal train.py",
        "jointfit run -n 3 --report pages train.py",
    ]
    for line in lines:
        paste(line, folder, forks)
    job = folder / "job.toml"
    text = re.sub(r"epochs = \d+, batch = \d+", "epochs = 2, batch = 12", job.read_text())
    text = re.sub(r"\nevery = \d+ ", "\nevery = 2 ", text)
    job.write_text(text)
    addressed(job)
    together("jointfit party --job job.toml --as hospital_a --data mine.csv", folder, forks)
    return folder


def test_every_example_works_when_pasted(scene, forks, tmp_path):
    """One test for all helps, two at a time, as what they need is made once."""
    with ThreadPoolExecutor(2) as pool:
        done = {command: pool.submit(follow, command, scene, tmp_path / (command or "top"), forks) for command in HELPS}
        done["with wrong ranks"] = pool.submit(wrong_ranks, tmp_path / "wrong ranks", forks)
    failed = [f"jointfit {command} --help:\n{each.exception()}" for command, each in done.items() if each.exception()]
    assert not failed, "\n\n".join(failed)


def follow(command, scene, folder, forks):
    """Paste all examples of one help."""
    shutil.copytree(scene, folder, symlinks=True)
    addressed(folder / "job.toml")
    for pattern in MAKES.get(command, []):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for line in examples(HELPS[command]):
        for before, after in REPLACED.items():
            line = line.replace(before, after)
        if line.split()[1] in TOGETHER and "--alone" not in line:
            together(line, folder, forks)
        elif line.startswith(ENDLESS):
            until_ended(line, folder, forks)
        else:
            paste(line, folder, forks)


def wrong_ranks(folder, forks):
    """What no example shows: a number of ranks, or a protocol, that is not the program's is told to every rank."""
    folder.mkdir()
    (folder / "trio.py").write_text(PROGRAM.replace("session()", 'session(protocol="replicated")'))
    paste("jointfit run -n 3 trio.py", folder, forks)
    told = {
        "jointfit run -n 4 trio.py": "exactly 3 computing parties and no dealer; got 4 ranks",
        "jointfit run --protocol additive trio.py": "mpc.session(protocol='replicated'), and",
    }
    for line, text in told.items():
        paste(f"! {line} 2> told", folder, forks)
        lines = [line for line in (folder / "told").read_text().splitlines() if text in line]
        assert {line[:4] for line in lines} == {f"[{rank}] " for rank in range(4 if "-n 4" in line else 3)}, lines


class Line:
    """A line in a shell, from its start to its end."""

    def __init__(self, line, folder, forks, stdin=subprocess.DEVNULL):
        self.line = line
        self._process = subprocess.Popen(
            ["bash", "-c", f"set -o pipefail; {line}"],
            cwd=folder, env=forks.environ, text=True, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def signal(self, number):
        self._process.send_signal(number)

    def type(self, text, terminal):
        """Type a text and Enter, whenever it may be asked for: what was typed before a question is thrown away."""
        for _ in range(100):
            if self._process.poll() is not None:
                return
            os.write(terminal, f"{text}\n".encode())
            time.sleep(0.1)

    def finish(self):
        """What it said and how it failed; empty if it did not."""
        try:
            said, _ = self._process.communicate(timeout=100)
            how = f"ended with {self._process.returncode}"
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, how = self._process.communicate()[0], "did not end"
        return f"$ {self.line}\n{said}\n{how}" if self._process.returncode else ""


def paste(line, folder, forks):
    """Run a line as a user does, who types what it asks for."""
    if line not in TYPED:
        assert not (wrong := Line(line, folder, forks).finish()), wrong
        return
    terminal, keyboard = pty.openpty()
    try:
        running = Line(line, folder, forks, keyboard)
        running.type(TYPED[line], terminal)
        assert not (wrong := running.finish()), wrong
    finally:
        os.close(terminal)
        os.close(keyboard)


def addressed(job):
    """Give the members of a job free addresses on loopback."""
    address = r'(?<=\naddress = ").*:\d+'
    job.write_text(re.sub(address, lambda _: f"127.0.0.1:{free_port()}", job.read_text()))


def agree(folder):
    """Put the fingerprints of all keys that lie here into the job."""
    job = folder / "job.toml"
    text = job.read_text()
    for name in NAMES:
        known = fingerprint(read_certificate(folder / f"{name}.crt"))
        text = re.sub(rf'(name = "{name}"(?s:.*?)\nfingerprint = ).*', rf'\1"{known}"', text, count=1)
    job.write_text(text)


def together(line, folder, forks):
    """Run a member's line while the other members run theirs."""
    agree(folder)
    words = shlex.split(line)
    command = words[1]
    if "--resume" not in words:
        shutil.rmtree(folder / "jointfit-state", ignore_errors=True)  # a finished run is not begun anew
    who = words[words.index("--as") + 1] if "--as" in words else "dealer"
    started = [Line(line, folder, forks)]
    for name in NAMES:
        if name != who:
            kind = command if command == "check" else "dealer" if name == "dealer" else "party"
            data = f" --data {name[-1]}.csv" if name in OWNERS else ""
            resume = " --resume" if "--resume" in words else ""
            started.append(Line(f"jointfit {kind} --job job.toml --as {name}{data}{resume}", folder, forks))
    wrong = [each.finish() for each in started]
    assert not any(wrong), "\n".join(wrong)


def until_ended(line, folder, forks):
    """Run what has no end of its own until it listens, and end it by SIGTERM."""
    running = Line(f"exec {line}", folder, forks)
    port = int(line.rpartition(":")[2])
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    running.signal(signal.SIGTERM)
    assert not (wrong := running.finish()), wrong
