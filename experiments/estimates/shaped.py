"""A LAN that the kernel makes: a network namespace of its own, whose loopback a token bucket filter holds to 10 Gbit/s.

All ranks live in it. There is no proxy, which would need the cores of the ranks, and no delay but the kernel's. Needs
Linux, root, `ip`, `tc` and `unshare`. ``python -m experiments.estimates.shaped CASE REPEATS`` is the process inside.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from experiments.estimates.measure import Measured, measured
from experiments.estimates.program import Moment
from experiments.scaling.network import Straight
from experiments.scaling.probe import Probe, seen

_SHAPE = "tbf rate 10gbit burst 512kb latency 50ms"

_BULK = 1 << 29

_PINGS = 2000


def inside(name: str, repeats: int) -> tuple[Probe, list[Measured]]:
    """What plain sockets see of that network, and runs of a case on it. Raises RuntimeError."""
    command = ["unshare", "--net", sys.executable, "-m", "experiments.estimates.shaped", name, str(repeats)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} in a network namespace ended with exit code {done.returncode}; want 0")
    said = json.loads(done.stdout.splitlines()[-1])
    runs = [
        Measured(one["step"], one["processor"], tuple(tuple(Moment(**each) for each in rank) for rank in one["ranks"]))
        for one in said["runs"]
    ]
    return Probe(**said["probe"]), runs


def main(name: str, repeats: int) -> None:
    """Shape the loopback of this namespace, probe it, run the case, and print all as a line of JSON."""
    for line in ("ip link set lo up", f"tc qdisc add dev lo root {_SHAPE}"):
        subprocess.run(line.split(), check=True)
    found = seen(Straight(), _BULK, _PINGS)
    runs = [measured(name, Straight()) for _ in range(repeats)]
    print(json.dumps({"probe": asdict(found), "runs": [asdict(run) for run in runs]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
