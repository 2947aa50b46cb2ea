"""What a test changes inside one member, by name: one that does not keep to the rules, or whose machine does not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from parties import prg
from tests.faults.lies import Liar


@contextlib.contextmanager
def _careless() -> Iterator[None]:
    """It does not compare its own certificate with the job."""
    with mock.patch("mpc.jobs.identities.check_identity"):
        yield


@contextlib.contextmanager
def _old() -> Iterator[None]:
    """It runs another version of jointfit."""
    with mock.patch("mpc.agreement.__version__", "0.0.9"):
        yield


@contextlib.contextmanager
def _full() -> Iterator[None]:
    """Its disk is full from the start."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    yield


@contextlib.contextmanager
def _recorded() -> Iterator[None]:
    """It notes a hash of the seed of each of its generators in the file TEST_SEEDS."""
    true = prg.Generator.__init__

    def noted(self: prg.Generator, seed: bytes) -> None:
        with Path(os.environ["TEST_SEEDS"]).open("a") as file:
            file.write(hashlib.sha256(seed).hexdigest() + "\n")
        true(self, seed)

    with mock.patch.object(prg.Generator, "__init__", noted):
        yield


def _lies(kind: str) -> Callable[[], Any]:
    """It lies, when TEST_FAULT says; see `Liar`."""

    @contextlib.contextmanager
    def patch() -> Iterator[None]:
        from mpc.jobs import opening

        true = opening.TlsChannel
        with mock.patch.object(opening, "TlsChannel", lambda *args, **given: Liar(true(*args, **given), kind)):
            yield

    return patch


LIES = ("duplicate", "truncate", "corrupt", "replay", "reflect", "foreign")
PATCHES: dict[str, Callable[[], Any]] = {
    "careless": _careless,
    "old": _old,
    "full": _full,
    "recorded": _recorded,
    **{f"lie {kind}": _lies(kind) for kind in LIES},
}
