"""Fuzz every parser: ``python -m tests.fuzz --inputs 1000000 --engine mutate``.

Each harness runs in a process of its own, whose memory is limited; an input that takes too long or ends the process is
a finding. Prints a table of how the inputs ended. The exit code is 1 if there was any finding; what failed lies in
--out, and belongs into tests/fuzz/corpus/HARNESS once it is mended.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.harness import Harness
from tests.fuzz.harnesses import HARNESSES
from tests.fuzz.work import Slip, keep

_PATIENCE = 60.0
"""Seconds without a new input after which a process hangs in a library, where no signal ends it."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("harnesses", nargs="*", metavar="HARNESS", help=f"of {', '.join(HARNESSES)}; all by default")
    parser.add_argument("--inputs", type=int, default=10_000, help="in all, spread over the harnesses")
    parser.add_argument("--engine", choices=("mutate", "hypothesis", "atheris"), default="mutate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="harnesses that run at once")
    parser.add_argument("--out", type=Path, help="folder for inputs that fail; a temporary one by default")
    given = parser.parse_args()
    unknown = set(given.harnesses) - set(HARNESSES)
    if unknown:
        parser.error(f"no harness {', '.join(sorted(unknown))}")
    return given


def _quotas(chosen: list[Harness], inputs: int) -> dict[str, int]:
    """How many inputs each harness gets, at least as many in all as were asked for."""
    whole = sum(each.share for each in chosen)
    return {each.name: -int(-inputs * each.share // whole) for each in chosen}


def _run(name: str, engine: str, inputs: int, seed: int, out: Path) -> tuple[str, Slip, float]:
    """Run one harness in a process of its own, and again from the next seed if an input ended the process."""
    path = out / f"{name}.slip"
    path.unlink(missing_ok=True)
    start = time.monotonic()
    done = 0
    slip = Slip(path)
    while done < inputs:
        call = [name, engine, str(inputs - done), str(seed), str(path), str(out)]
        with (out / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "tests.fuzz.work", *call], stdout=log, stderr=log)
            ended = _wait(process, path)
        slip = Slip(path)
        if ended is None and slip.inputs > done:
            break
        kept = keep(out, name, slip.last, f"the process {ended or 'ran no input'}; see {name}.log")
        slip.count(f"FINDING process {ended}")
        print(f"{name}: the process {ended}; {kept}", file=sys.stderr)
        if slip.inputs == done:
            break
        done, seed = slip.inputs, seed + 1
    return name, slip, time.monotonic() - start


def _wait(process: subprocess.Popen[bytes], path: Path) -> str | None:
    """Wait for a process; None if it ended well."""
    last, since = -1, time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(1.0)
            return None if code == 0 else f"ended with {code}"
        now = Slip(path).inputs
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            process.kill()
            process.wait()
            return "hung"


def main() -> int:
    """Run all, print the table."""
    given = _arguments()
    chosen = [HARNESSES[name] for name in given.harnesses or HARNESSES]
    out = given.out or Path(tempfile.mkdtemp(prefix="jointfit-fuzz-"))
    out.mkdir(parents=True, exist_ok=True)
    quotas = _quotas(chosen, given.inputs)
    with ThreadPoolExecutor(given.jobs) as pool:
        jobs = [pool.submit(_run, name, given.engine, number, given.seed, out) for name, number in quotas.items()]
        results = [job.result() for job in jobs]
    print("| harness | inputs | seconds | how they ended |\n|---|---|---|---|")
    found = 0
    for name, slip, seconds in results:
        ends = ", ".join(f"{end} {number}" for end, number in sorted(slip.tally.items(), key=lambda each: -each[1]))
        found += sum(number for end, number in slip.tally.items() if end.startswith("FINDING"))
        print(f"| {name} | {slip.inputs} | {seconds:.0f} | {ends} |")
    total = sum(slip.inputs for _, slip, _ in results)
    print(f"\n{total} inputs, engine {given.engine}, {found} findings" + (f"; see {out}" if found else ""))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
