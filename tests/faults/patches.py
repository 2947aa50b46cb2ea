"""What a test changes inside one member, by name: one that does not keep to the rules, or whose machine does not."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

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
    **{f"lie {kind}": _lies(kind) for kind in LIES},
}
