"""Which member of which job this process is: from the command line, through the environment, to the program's session.

`jointfit party` and `jointfit dealer` set these variables, and the program's `mpc.session()`, in the same process,
finds them. This is the one place that knows them:

==========================  ==================================================================================
JOINTFIT_JOB                path of the job file
JOINTFIT_DIGEST             the SHA-256 of the job that the command read; a file changed since then is refused
JOINTFIT_AS                 name of this member
JOINTFIT_DATA               path of its table; only for owners
JOINTFIT_KEY                path of its private key; its certificate: JOINTFIT_CERTIFICATE
JOINTFIT_STATE              folder of its log of reveals, checkpoints and results
JOINTFIT_LISTEN             host:port where it listens; unset: the port of its address, on all interfaces
JOINTFIT_REPORT             file or folder of its page about the run; unset: none
JOINTFIT_RESUME             "1": go on after the newest checkpoint that all members have
JOINTFIT_PASSPHRASE_FD      number of a pipe from which the passphrase of the key is read, once
JOINTFIT_JOINED             "1": the one session of the job was opened
==========================  ==================================================================================

A rehearsal (`jointfit run --job`) has instead of key and certificate what `parties.launch.run_local` sets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mpc.jobs import JOB, REPORT
from parties import ConfigurationError
from parties.job import Job, Member, read_job

_REHEARSED = "JOINTFIT_RANK"


@dataclass(frozen=True)
class Membership:
    """A member of a job, and where its files are. See the top of the file.

    Attributes:
        path, job, name: the job's file, the job, and which of its members this is.
        data: the member's table, None if it owns none.
        key, certificate: of its identity; None in a rehearsal.
        state: folder of what it writes.
        listen: "host:port", or None for the default.
        resume: whether to go on from checkpoints.
        report: file or folder for a page about the run, see `mpc.report`; None: none.
    """

    path: Path
    job: Job
    name: str
    data: Path | None
    key: Path | None
    certificate: Path | None
    state: Path
    listen: str | None = None
    resume: bool = False
    report: Path | None = None

    def __post_init__(self) -> None:
        if self.member.owns and self.data is None:
            raise ConfigurationError(f"{self.name} is an owner of data in this job; want --data FILE")
        if self.data is not None and not self.member.owns:
            raise ConfigurationError(f"{self.name} is no owner of data in this job; want no --data")

    @property
    def rank(self) -> int:
        """Of this member."""
        return self.job.rank(self.name)

    @property
    def member(self) -> Member:
        """This member as the job has it."""
        return self.job.member(self.name)

    @property
    def program(self) -> Path | None:
        """The job's program, beside the job's file; None if it trains an estimator."""
        return None if self.job.model.program is None else self.path.parent / self.job.model.program

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """What the variables say.

        Raises:
            ConfigurationError: this process runs no job, or the job's file was changed since it was started.
        """
        if JOB not in environ:
            raise ConfigurationError("this process runs no job; start it with `jointfit party` or `jointfit run --job`")
        path = Path(environ[JOB])
        job = read_job(path)
        if job.digest.hex() != environ["JOINTFIT_DIGEST"]:
            raise ConfigurationError(f"{path.name} was changed since this member was started; start it again")

        def file(name: str) -> Path | None:
            return Path(environ[name]) if name in environ else None

        return cls(
            path=path,
            job=job,
            name=environ["JOINTFIT_AS"],
            data=file("JOINTFIT_DATA"),
            key=file("JOINTFIT_KEY"),
            certificate=file("JOINTFIT_CERTIFICATE"),
            state=Path(environ["JOINTFIT_STATE"]),
            listen=environ.get("JOINTFIT_LISTEN"),
            resume=environ.get("JOINTFIT_RESUME") == "1",
            report=file(REPORT),
        )

    def variables(self) -> dict[str, str]:
        """The variables for `from_environment`."""
        found = {
            JOB: self.path.resolve(),
            "JOINTFIT_DIGEST": self.job.digest.hex(),
            "JOINTFIT_AS": self.name,
            "JOINTFIT_DATA": self.data and self.data.resolve(),
            "JOINTFIT_KEY": self.key and self.key.resolve(),
            "JOINTFIT_CERTIFICATE": self.certificate and self.certificate.resolve(),
            "JOINTFIT_STATE": self.state.resolve(),
            "JOINTFIT_LISTEN": self.listen,
            "JOINTFIT_RESUME": "1" if self.resume else None,
            REPORT: self.report and self.report.absolute(),
        }
        return {name: str(value) for name, value in found.items() if value is not None}


def state_folder(job: Job, name: str) -> Path:
    """Where a member keeps its state unless it is told otherwise: below the current folder, by job and digest."""
    return Path("jointfit-state") / f"{job.name}-{job.digest.hex()[:12]}" / name


def is_rehearsal(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the launcher of this machine connects the members, with throw-away identities."""
    return _REHEARSED in environ
