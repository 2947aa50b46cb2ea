"""jointfit and CrypTen side by side, row by row in turn, on the same shapes and cores, one thread a process.

``python -m experiments.peers --json --peer-python PYTHON``; without CrypTen, jointfit alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from experiments.peers import starting
from experiments.peers.shapes import ROWS

INSTALL = """\
CrypTen cannot be imported ({why}); jointfit runs alone. To install it, in an environment of its own beside torch:
  pip install torch numpy omegaconf pyyaml onnx && pip install --no-deps 'crypten==0.4.1'
and give its interpreter as --peer-python."""


def table(records: Sequence[dict[str, Any]]) -> str:
    """Seconds, megabytes, rounds and memory of both, and how many times more CrypTen takes."""
    head = ["", "s", "CrypTen s", "ratio", "MB", "CrypTen MB", "ratio", "rounds", "CrypTen", "MB from dealer"]
    head += ["memory MB (dealer)", "CrypTen"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in records:
        ours, theirs = one["jointfit"], one["crypten"]
        mb = {key: f"{ours[key] / 1e6:.3g}" for key in ("bytes", "offline")}
        memory = f"{ours['memory'] / 1e6:.0f} ({ours['dealer_memory'] / 1e6:.0f})"
        cells = [one["title"], f"{ours['seconds']:.3g}", "", "", mb["bytes"], "", "", str(ours["rounds"]), ""]
        cells += [mb["offline"], memory, ""]
        if theirs is not None:
            cells[2], cells[3] = f"{theirs['seconds']:.3g}", f"{theirs['seconds'] / ours['seconds']:.2g}"
            cells[5], cells[6] = f"{theirs['bytes'] / 1e6:.3g}", f"{theirs['bytes'] / ours['bytes']:.2g}"
            cells[8], cells[11] = str(theirs["rounds"]), f"{theirs['memory'] / 1e6:.0f}"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.peers", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--repeats", type=int, default=7, help="timed repeats of each row, after two to warm up (7)")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has CrypTen (this one)")
    parser.add_argument("--json", action="store_true", help="print records instead of a table")
    parser.add_argument("--tiny", action="store_true", help="few rows of data, to try the command itself")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"got {options.repeats} repeats; want at least 1")
    why = starting.missing(options.peer_python)
    if why:
        print(INSTALL.format(why=why), file=sys.stderr)
    size = "tiny" if options.tiny else "full"
    records = []
    for name in options.rows:
        ours = starting.ours(name, options.repeats, size)
        theirs = None if why else starting.theirs(options.peer_python, name, options.repeats, size)
        records.append({"row": name, "title": ROWS[name].title, "jointfit": ours, "crypten": theirs})
        print(f"{name} done", file=sys.stderr, flush=True)
    print(json.dumps(records, indent=2) if options.json else table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
