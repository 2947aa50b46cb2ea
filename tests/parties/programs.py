"""Programs that tests run as real processes: ``python programs.py NAME FOLDER``.

A rank that gets an error leaves in FOLDER what it got, and how many seconds after the trouble began.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from parties.errors import JointfitError
from parties.roles import connect


def trouble(name: str, folder: Path, party) -> None:
    everybody = [rank for rank in range(party.size) if rank != party.rank]
    for _ in range(3):
        party.exchange(dict.fromkeys(everybody, b"12345678"), dict.fromkeys(everybody, 8), "hello")
    if party.rank == 1:
        (folder / "began").write_text(str(time.time()))
        if name == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "kill_while_sending":
            party.send(0, bytes(64 << 20), "large")
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "raise":
            raise KeyError("patient 7")
        if name == "leave":
            os._exit(0)
        if name == "end":
            return
        if name == "differ":
            party.exchange({0: b"1"}, {0: 1}, "multiply")
        if name == "stall":
            time.sleep(30)
    if name == "kill_while_sending" and party.rank == 0:
        party.receive(1, "large")
    party.exchange(dict.fromkeys(everybody, b"12345678"), dict.fromkeys(everybody, 8), "wait")


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    party = connect(dealer=False)
    try:
        with party:
            trouble(name, folder, party)
    except JointfitError as error:
        seconds = time.time() - float((folder / "began").read_text())
        told = {"error": type(error).__name__, "rank": error.rank, "text": str(error), "seconds": seconds}
        (folder / f"{party.rank}.json").write_text(json.dumps(told))
        raise


if __name__ == "__main__":
    main()
