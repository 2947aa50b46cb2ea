"""jointfit, CrypTen and SPU side by side, in turn, on the same shapes and cores, one thread a process.

``python -m experiments.peers --json --crypten PYTHON --spu PYTHON``; without CrypTen, the others alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.peers import systems, tables
from experiments.peers.shapes import ROWS
from parties.needs import DEFAULT

INSTALL_CRYPTEN = """\
CrypTen cannot be imported ({why}); it is left out. To install it, in an environment of its own beside torch:
  pip install torch numpy omegaconf pyyaml onnx && pip install --no-deps 'crypten==0.4.1'
and give its interpreter as --crypten."""

INSTALL_SPU = """\
SPU cannot be imported ({why}). To install it, in an environment of its own with Python 3.10 or 3.11:
  pip install 'spu==0.9.5'
and give its interpreter as --spu."""

WARM = 2

Answers = Sequence[systems.Answer]


def measured(running: Mapping[str, systems.System], row: str, repeats: int, size: str) -> dict[str, dict[str, Any]]:
    """Figures of each system for a row. They run in turn, one run each; the others wait meanwhile."""
    before = {name: system.say(f"row {row} {size}") for name, system in running.items()}
    runs: dict[str, list[Answers]] = {name: [] for name in running}
    for _ in range(WARM + repeats):
        for name, system in running.items():
            system.say("fresh")
            runs[name].append(system.say("run"))
    found = {}
    for name, system in running.items():
        system.say("fresh")
        counts = system.say("count")
        found[name] = figures(runs[name][WARM:], counts, before[name], system.say("memory"))
    return found


def figures(
    runs: Sequence[Answers],
    counts: Answers,
    before: Answers,
    after: Answers,
) -> dict[str, Any]:
    """Medians over runs: the slower party's wall time, the processor time of all; the busiest party's counts."""

    def parties(answers: Answers) -> list[systems.Answer]:
        return [one for one in answers if not one["dealer"]]

    def dealers(answers: Answers) -> list[systems.Answer]:
        return [one for one in answers if one["dealer"]]

    seconds = [max(one["seconds"] for one in parties(run)) for run in runs]
    return {
        "seconds": statistics.median(seconds),
        "each": seconds,
        "cpu": statistics.median(sum(one["cpu"] for one in run) for run in runs),
        "dealer_cpu": statistics.median(sum(one["cpu"] for one in dealers(run)) for run in runs),
        "dealer_seconds": statistics.median(max((one["seconds"] for one in dealers(run)), default=0.0) for run in runs),
        **{key: max(one[key] for one in parties(counts)) for key in ("bytes", "rounds", "offline")},
        "memory": max(one["memory"] for one in parties(after)),
        "dealer_memory": max((one["memory"] for one in dealers(after)), default=0),
        "resident": max(one["resident"] for one in parties(before)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.peers", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--repeats", type=int, default=7, help=f"timed runs of each, after {WARM} to warm up (7)")
    parser.add_argument(
        "--protocols", nargs="+", choices=systems.OURS, default=[DEFAULT], metavar="PROTOCOL",
        help=f"of jointfit: {', '.join(systems.OURS)}; ratios are to the first (additive)",
    )  # fmt: skip
    parser.add_argument("--crypten", default=sys.executable, metavar="PYTHON", help="interpreter with CrypTen (this)")
    parser.add_argument("--spu", metavar="PYTHON", help="interpreter that has SPU (none: leave SPU out)")
    parser.add_argument("--spu-protocol", choices=systems.THEIRS, default="semi2k", help="or aby3, of three (semi2k)")
    parser.add_argument("--cores", type=int, default=2, help="cores for all processes together (2)")
    parser.add_argument("--json", action="store_true", help="print records instead of tables")
    parser.add_argument("--tiny", action="store_true", help="few rows of data, to try the command itself")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"got {options.repeats} repeats; want at least 1")
    if options.cores < 1:
        parser.error(f"got {options.cores} cores; want at least 1")
    why = systems.missing(options.crypten, "with_crypten")
    if why:
        print(INSTALL_CRYPTEN.format(why=why), file=sys.stderr)
    if options.spu is not None and (lacking := systems.missing(options.spu, "with_spu")):
        print(INSTALL_SPU.format(why=lacking), file=sys.stderr)
        return 2
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    size, records = "tiny" if options.tiny else "full", []
    with contextlib.ExitStack() as stack:

        def folder() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))

        running = {
            systems.called(protocol): stack.enter_context(systems.jointfit(protocol, folder()))
            for protocol in dict.fromkeys(options.protocols)
        }
        if not why:
            running["CrypTen"] = stack.enter_context(systems.crypten(options.crypten, folder()))
        if options.spu is not None:
            theirs = systems.spu(options.spu, options.spu_protocol, folder(), size, options.rows)
            running["SPU"] = stack.enter_context(theirs)
        for name in options.rows:
            found = measured(running, name, options.repeats, size)
            records.append({"row": name, "title": ROWS[name].title, "systems": found})
            print(f"{name} done", file=sys.stderr, flush=True)
    print(json.dumps(records, indent=2) if options.json else tables.all_of(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
