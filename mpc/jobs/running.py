"""One member's process: checks, the program or the estimator, and an orderly end."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mpc.jobs.membership import Membership, is_rehearsal
from mpc.jobs.state import taken
from mpc.version import __version__
from parties import ConfigurationError, DisagreementError
from parties.launch import terminable

log = logging.getLogger(__name__)


def run_member(member: Membership, environ: dict[str, str]) -> None:
    """Take part in a job until it ends; ``environ`` are variables beside the member's own.

    SIGTERM, SIGHUP and Ctrl-C raise KeyboardInterrupt: the session ends, and the others are told.

    Raises:
        ConfigurationError: the data do not fit the job, the state folder is in use, the program is not there.
        DisagreementError: the program is another one than the job's; or what the others have, see `opening`.
        Whatever the program raises.
    """
    code = None if member.program is None else read_program(member.program, str(member.job.model.sha256))
    with terminable(), taken(member.state), _variables({**member.variables(), **environ}):
        _announce(member)
        _check_data(member)
        if code is None:
            from mpc.jobs.train import train

            train(member)
        else:
            run_program(member.path.parent / str(member.job.model.program), code)
    log.info("ended well", extra={"event": "end"})


def read_program(path: Path, sha256: str) -> bytes:
    """The bytes of a program, which are what the job agreed on.

    Raises ConfigurationError if it cannot be read, DisagreementError if its SHA-256 is another one.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"program {path}: {error.strerror}; the job wants it beside its file") from error
    found = hashlib.sha256(code).hexdigest()
    if found != sha256:
        raise DisagreementError(f"program {path} has the SHA-256 {found}; the job says {sha256}")
    return code


def run_program(path: Path, code: bytes) -> None:
    """Run these bytes as the main program. The folder they come from is not searched for imports, as no hash covers
    what lies there: a program of a job is one file.
    """
    main = ModuleType("__main__")
    main.__file__ = str(path)
    before = sys.modules["__main__"], sys.argv, sys.path
    sys.modules["__main__"], sys.argv = main, [str(path)]
    sys.path = [each for each in sys.path if each and Path(each).resolve() != path.parent.resolve()]
    try:
        exec(compile(code, str(path), "exec"), vars(main))  # noqa: S102 — the job's program, whose hash all agreed on
    except SystemExit as error:
        if error.code:
            raise
    finally:
        sys.modules["__main__"], sys.argv, sys.path = before


def _announce(member: Membership) -> None:
    import torch

    job = member.job
    versions = {"jointfit": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    digest = job.digest.hex()
    fields: dict[str, Any] = {"event": "start", "job": job.name, "digest": digest, **versions}
    roles = ", ".join(member.member.roles)
    log.info("%s (%s) in job %s %s; %s", member.name, roles, job.name, digest[:12], said, extra=fields)
    if is_rehearsal():
        log.info("a rehearsal on this machine, with throw-away identities")
        return
    for each in job.members:
        fields = {"event": "pinned", "peer": each.name, "fingerprint": each.fingerprint}
        log.info("%s is %s", each.name, each.fingerprint, extra=fields)


def _check_data(member: Membership) -> None:
    """Refuse a table that does not fit before anybody is dialled; it is checked again when it is shared."""
    if member.data is None:
        return
    from mpc.jobs.tables import check_table

    rows, wrong = check_table(member.job, member.name, member.data)
    if wrong:
        raise ConfigurationError(f"{member.data} does not fit the job: " + "; ".join(wrong))
    log.info("%s fits the job: %d rows", member.data, rows, extra={"event": "table", "rows": rows})


@contextlib.contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name.startswith("JOINTFIT_")}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("JOINTFIT_")]:
            del os.environ[name]
        os.environ.update(before)
