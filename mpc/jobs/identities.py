"""A member's own identity, checked against the job before anybody is dialled."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mpc.jobs.passphrase import ask_passphrase, read_passphrase
from parties import ConfigurationError, IdentityError
from parties.credentials import Credentials
from parties.identity import check_dates, expires_soon, fingerprint, read_certificate, read_key
from parties.job import Job

log = logging.getLogger(__name__)

_FROM = "JOINTFIT_PASSPHRASE_FD"


def passphrase_for(key: Path, file: Path | None) -> bytes | None:
    """The passphrase of a key file: from a file, or asked for if the key has one.

    Raises ConfigurationError or IdentityError if it is not to be had, or the key is unusable.
    """
    passphrase = read_passphrase(file)
    if passphrase is None and _encrypted(key):
        passphrase = ask_passphrase(key.name)
    read_key(key, passphrase)
    return passphrase


def check_identity(job: Job, name: str, certificate: Path) -> None:
    """Raise IdentityError unless a member's certificate is the one that the job names, and valid today."""
    found = read_certificate(certificate)
    if fingerprint(found) != job.member(name).fingerprint:
        raise IdentityError(
            f"{certificate} has the fingerprint {fingerprint(found)}, and the job has {job.member(name).fingerprint} "
            f"for {name}; want the certificate that the job names, or a job with this fingerprint"
        )
    check_dates(found, name)


def warn_of_expiry(certificate: Path) -> None:
    """Log a warning if a certificate expires within 30 days."""
    warning = expires_soon(read_certificate(certificate))
    if warning is not None:
        log.warning("%s", warning, extra={"event": "expiry"})


def hand_over(passphrase: bytes | None) -> dict[str, str]:
    """Variables with which `handed_over` gets a passphrase later in this process, out of a pipe and once."""
    if passphrase is None:
        return {}
    reading, writing = os.pipe()
    os.write(writing, passphrase)
    os.close(writing)
    return {_FROM: str(reading)}


def handed_over() -> bytes | None:
    """The passphrase that `hand_over` left for this process; None if there is none, or it was taken already."""
    if _FROM not in os.environ:
        return None
    with os.fdopen(int(os.environ.pop(_FROM)), "rb") as pipe:
        return pipe.read()


def credentials(job: Job, key: Path, certificate: Path, passphrase: bytes | None) -> Credentials:
    """Of one member: its own files, and the fingerprints that the job pins for all."""
    return Credentials(certificate, key, tuple(member.fingerprint for member in job.members), passphrase)


def _encrypted(key: Path) -> bool:
    try:
        return b"BEGIN ENCRYPTED" in key.read_bytes()[:4096]
    except OSError as error:
        hint = "; want --key FILE, made by jointfit keygen" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(f"key {key}: {error.strerror}{hint}") from error
