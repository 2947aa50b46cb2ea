"""``jointfit run --job``: every member of a job as a process of this machine, ``python -m mpc.cli.rehearsal``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpc import logs
from mpc.cli.ending import end
from mpc.cli.options import progress_of
from parties import ConfigurationError
from parties.job import Job, read_job

_TABLES = (".csv", ".csv.gz", ".parquet")


def rehearse(options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> int:
    """Start all members, with these variables besides, and wait for them; returns the exit code."""
    from mpc.jobs.membership import state_folder
    from mpc.live import watching
    from parties.launch import run_local

    job = read_job(options.job)
    state = options.state or state_folder(job, "rehearsal")
    settings = {
        "job": str(options.job),
        "data": _tables(job, options.job.parent, options.data),
        "state": str(state),
        "level": "warning" if options.quiet else options.log_level,
        "json": options.log_json,
        "report": None if options.report is None else str(options.report),
    }
    command = [sys.executable, "-m", "mpc.cli.rehearsal", json.dumps(settings)]
    roles: dict[str, Any] = {"dealer": job.dealer is not None, "clients": len(job.clients)}
    with watching(options.progress, job.names) as progress:
        variables = {**progress_of(options), **(environ or {})}
        code = run_local(command, job.size, **roles, prefix=False, environ=variables, progress=progress)
    if not code:
        _say_results(job, state)
    return code


def _say_results(job: Job, state: Path) -> None:
    """What each receiver learned and where it lies, if the job trains an estimator."""
    for name in job.names:
        found = state / name / "results.json"
        if found.is_file():
            said = json.loads(found.read_text("utf-8"))
            numbers = [f"score {said['score']:.4f}"] if "score" in said else []
            numbers += [f"loss {said['losses'][-1]['loss']:.4f} in the end"] if "losses" in said else []
            print(f"{name} learned: {', '.join([*numbers, f'all of it in {found.parent}'])}")


def _tables(job: Job, folder: Path, given: list[str]) -> dict[str, str]:
    """The table of each owner: as given, else data/NAME.csv or .parquet beside the job."""
    tables = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (equals and file):
            raise ConfigurationError(f"--data {text}; want NAME=FILE, such as hospital_a=a.csv")
        tables[name] = file
    owners = [job.names[rank] for rank in job.owners]
    for name in tables:
        if name not in owners:
            raise ConfigurationError(f"--data {name}=…: {name} owns no data in this job; want {', '.join(owners)}")
    beside = tables_beside(job, folder)
    for name in owners:
        if name not in tables:
            if name not in beside:
                want = folder / "data" / f"{name}{_TABLES[0]}"
                raise ConfigurationError(f"found no table of {name}; want {want}, or --data {name}=FILE")
            tables[name] = str(beside[name])
    return tables


def tables_beside(job: Job, folder: Path) -> dict[str, Path]:
    """The owners' tables in the folder data/ beside a job, as far as they are there."""
    paths = [(job.names[rank], folder / "data" / f"{job.names[rank]}{end}") for rank in job.owners for end in _TABLES]
    return {name: path for name, path in reversed(paths) if path.is_file()}


def main(arguments: list[str]) -> int:
    """One member: its rank comes from the environment, and all else from one JSON text."""
    from mpc.jobs.membership import Membership
    from mpc.jobs.running import run_member

    settings = json.loads(arguments[0])
    path = Path(settings["job"])
    job = read_job(path)
    name = job.names[int(os.environ["JOINTFIT_RANK"])]
    table = settings["data"].get(name)
    logs.begin(name, job.names, level=settings["level"], as_json=settings["json"])
    try:
        state = Path(settings["state"]) / name
        report = settings["report"] and Path(settings["report"])
        run_member(Membership(path, job, name, table and Path(table), None, None, state, report=report), {})
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 — every error becomes an exit code
        return end(error, job.names, debug=settings["level"] == "debug", logged=settings["json"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
