"""One harness in a process of its own: ``python -m tests.fuzz.work NAME ENGINE INPUTS SEED SLIP OUT``.

What it does stands on a slip, a small file mapped into memory, so that the parent knows it whatever happens to this
process: how many inputs were run, the last one, and a tally of how they ended.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("!QQQ")
_ROOM = 1 << 20
_TALLY = 1 << 16


class Slip:
    """The numbers of inputs, the last input, and the tally, in a file of fixed size."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_HEAD.size + _ROOM + _TALLY))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.inputs, size, tally = _HEAD.unpack_from(self._map)
        self.last = self._map[_HEAD.size : _HEAD.size + size]
        start = _HEAD.size + _ROOM
        self.tally: dict[str, int] = json.loads(self._map[start : start + tally] or b"{}")

    def begin(self, data: bytes) -> None:
        """Note an input before it is run."""
        self.inputs += 1
        _HEAD.pack_into(self._map, 0, self.inputs, min(len(data), _ROOM), _HEAD.unpack_from(self._map)[2])
        self._map[_HEAD.size : _HEAD.size + min(len(data), _ROOM)] = data[:_ROOM]

    def count(self, end: str) -> None:
        """Note how an input ended. Done each time, as a fuzzing engine ends the process without asking."""
        self.tally[end] = self.tally.get(end, 0) + 1
        text = json.dumps(self.tally).encode()[:_TALLY]
        start = _HEAD.size + _ROOM
        self._map[start : start + len(text)] = text
        _HEAD.pack_into(self._map, 0, self.inputs, _HEAD.unpack_from(self._map)[1], len(text))


class Worker:
    """Runs inputs of one harness, and keeps those that fail."""

    def __init__(self, name: str, slip: Slip, out: Path) -> None:
        from tests.fuzz.harnesses import HARNESSES

        self.harness = HARNESSES[name]
        self.examples = [*self.harness.examples(), *self.harness.stored()]
        self._slip = slip
        self._out = out

    def run(self, data: bytes, start: Any) -> None:
        """Run one input; a finding is kept in a file, the first of each kind."""
        from tests.fuzz.harness import Finding, judge

        self._slip.begin(data)
        start()
        try:
            end = judge(self.harness, data)
        except Finding as finding:
            end = f"FINDING {finding.kind}"
            if end not in self._slip.tally:
                keep(self._out, self.harness.name, data, str(finding))
        self._slip.count(end)

    def changed(self, data: bytes, rng: random.Random) -> bytes:
        """The input with changes."""
        from tests.fuzz.mutate import mutate

        h = self.harness
        return mutate(data, rng, others=self.examples, tokens=h.tokens, longest=h.longest)

    def mutated(self, inputs: int, seed: int) -> Iterator[bytes]:
        """The examples, then changed ones."""
        rng = random.Random(seed)
        yield from self.examples[:inputs]
        for _ in range(inputs - len(self.examples)):
            yield self.changed(rng.choice(self.examples), rng)


def keep(out: Path, name: str, data: bytes, text: str) -> Path:
    """Write an input that failed, and why, into ``out``."""
    path = out / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(text)
    return path


def _by_mutation(worker: Worker, inputs: int, seed: int) -> None:
    from tests.fuzz.harness import bounded

    with bounded() as start:
        for data in worker.mutated(inputs, seed):
            worker.run(data, start)


def _by_hypothesis(worker: Worker, inputs: int, seed: int) -> None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    from tests.fuzz.harness import bounded

    with bounded() as start:

        @seeded(seed)
        @settings(max_examples=inputs, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.sampled_from(worker.examples), st.randoms(use_true_random=False))
        def run(data: bytes, rng: random.Random) -> None:
            worker.run(worker.changed(data, rng), start)

        run()


def _by_atheris(worker: Worker, inputs: int, seed: int, out: Path) -> None:
    """Coverage of jointfit's lines guides the choice of inputs. Never returns."""
    import atheris

    from tests.fuzz.harness import bounded

    corpus = out / "atheris" / worker.harness.name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(worker.examples):
        (corpus / f"example-{number}").write_bytes(data)

    def change(data: bytes, longest: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, longest))
        return worker.changed(data, rng)[:longest]

    with bounded() as start:
        options = (f"-runs={inputs}", f"-seed={seed}", f"-max_len={worker.harness.longest}", "-rss_limit_mb=0",
                   "-verbosity=0", "-print_final_stats=0", str(corpus))  # fmt: skip
        atheris.Setup(
            [sys.argv[0], *options],
            lambda data: worker.run(data, start),
            custom_mutator=change,
            internal_libfuzzer=True,
        )
        atheris.Fuzz()


def main(name: str, engine: str, inputs: str, seed: str, path: str, out: str) -> None:
    """Run a harness; the slip says how it went."""
    slip = Slip(Path(path))
    if engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["parties", "protocols", "mpc"]):
            worker = Worker(name, slip, Path(out))
        _by_atheris(worker, int(inputs), int(seed), Path(out))
    worker = Worker(name, slip, Path(out))
    {"mutate": _by_mutation, "hypothesis": _by_hypothesis}[engine](worker, int(inputs), int(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
