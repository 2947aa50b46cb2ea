"""Start real processes for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def mpirun() -> str | None:
    beside = Path(sys.executable).parent / "mpirun"
    return str(beside) if beside.exists() else shutil.which("mpirun")


def environment() -> dict[str, str]:
    """Without what another launcher may have set; able to import the package; one thread for each process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOINTFIT_", "OMPI_", "PMI"))}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }


class Ended:
    """How a command ended."""

    def __init__(self, command: list[str], timeout: float = 60) -> None:
        start = time.monotonic()
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout, check=False)
        self.seconds = time.monotonic() - start
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self) -> str:
        return f"code {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"


def over_tls(n: int, command: list[str], *, dealer: bool = False, clients: int = 0) -> Ended:
    call = f"run_local(sys.argv[1:], {n}, dealer={dealer}, clients={clients})"
    starter = f"import sys; from parties.launch import run_local; sys.exit({call})"
    return Ended([sys.executable, "-c", starter, *command])


def over_mpi(n: int, command: list[str]) -> Ended:
    return Ended([mpirun() or "mpirun", "-n", str(n), *command])
