"""Start the parties of one system for one row, wait for them, and gather what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parties.launch import run_local

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600.0
"""Seconds that CrypTen may take for a row."""

Figures = dict[str, Any]


def gathered(folder: Path) -> Figures:
    """The slowest and busiest computing party; the dealer's memory apart."""
    ranks = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    parties = [one for one in ranks if not one["dealer"]]
    found = {key: max(one[key] for one in parties) for key in ("bytes", "rounds", "offline", "memory")}
    slowest = max(parties, key=lambda one: one["seconds"])
    found.update({key: slowest[key] for key in ("seconds", "fastest", "slowest")})
    found["dealer_memory"] = max((one["memory"] for one in ranks if one["dealer"]), default=0)
    return found


def ours(name: str, repeats: int, size: str) -> Figures:
    """Two parties and a dealer, one process each, over TLS. Raises RuntimeError if they fail."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="jointfit-peers-") as folder:
        code = run_local([sys.executable, "-m", "experiments.peers.ours", folder, name, str(repeats), size], 3)
        if code:
            raise RuntimeError(f"jointfit, {name}: the ranks ended with exit code {code}; want 0")
        return gathered(Path(folder))


def theirs(python: str, name: str, repeats: int, size: str) -> Figures:
    """Two parties over gloo, with first-party triples. Raises RuntimeError if they fail."""
    with tempfile.TemporaryDirectory(prefix="crypten-peers-") as folder:
        gloo(python, "experiments.peers.theirs", [folder, name, str(repeats), size], folder, name)
        return gathered(Path(folder))


def gloo(python: str, module: str, arguments: Sequence[str], folder: str, what: str) -> None:
    """Run a module as two parties that meet in a folder. Raises RuntimeError if they fail."""
    shared = {"WORLD_SIZE": "2", "DISTRIBUTED_BACKEND": "gloo", "RENDEZVOUS": f"file://{folder}/meeting"}
    processes = [_start(python, module, arguments, {**shared, "RANK": str(rank)}) for rank in range(2)]
    try:
        said = [process.communicate(timeout=LIMIT)[0] for process in processes]
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"CrypTen, {what}: still running after {LIMIT:g} s") from None
    finally:
        for process in processes:
            process.kill()
            process.wait()
    codes = [process.returncode for process in processes]
    if any(codes):
        raise RuntimeError(f"CrypTen, {what}: got exit codes {codes}, want 0\n{said[0][-2000:]}")


def missing(python: str) -> str:
    """Why CrypTen cannot be imported by that interpreter; empty if it can."""
    try:
        process = _start(python, "experiments.peers.theirs", ["check", "", "", ""], {})
    except OSError as error:
        return f"cannot start {python}: {error.strerror}"
    said, _ = process.communicate()
    lines = said.strip().splitlines()
    return (lines[-1] if lines else f"exit code {process.returncode}") if process.returncode else ""


def _start(python: str, module: str, arguments: Sequence[str], environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-m", module, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environ},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
