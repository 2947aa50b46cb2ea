"""Short texts: addresses, and what the environment says."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Sequence
from typing import Any
from unittest import mock

from parties import ConfigurationError, IdentityError
from parties.credentials import Credentials, local_credentials
from parties.reach import Route
from parties.roles import connect, parse_address
from tests.fuzz.files import folder
from tests.fuzz.harness import Harness
from tests.fuzz.wire import Replay


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _address(data: bytes) -> None:
    host, port = parse_address(_text(data))
    assert host
    assert 0 <= port < 1 << 16


def _environment(data: bytes) -> None:
    """Variables as `NAME=value` lines. What would open sockets is stopped where it begins."""
    lines = (line.partition("=") for line in _text(data).split("\n"))
    environ = {name: value for name, _, value in lines if name and "\0" not in name + value}
    if environ.get("JOINTFIT_LISTEN_FD", "").strip(" +0_123456789"):  # a number would take over a file of this process
        environ.pop("JOINTFIT_LISTEN_FD")
    else:
        environ["JOINTFIT_LISTEN_FD"] = "100000"
    environ["JOINTFIT_CREDENTIALS"] = _folder()
    with (
        mock.patch("parties.sockets.listen"),
        mock.patch("parties.reach.Doors"),
        mock.patch("parties.tls.TlsChannel", _reached),
        mock.patch("parties.mpi.MpiChannel", side_effect=ConfigurationError("reached")),
    ):
        connect(environ=environ)


@functools.cache
def _folder() -> str:
    place = folder() / "credentials"
    place.mkdir()
    local_credentials(3, place)
    return str(place)


def _reached(rank: int, routes: Sequence[Route | None], credentials: Credentials, **given: Any) -> None:
    """Stand in for TlsChannel: what it gets must be fit to open sockets with."""
    assert routes[rank] is None
    assert len(credentials.fingerprints) == len(routes)
    Replay(b"", rank, len(routes), given["deadline"])
    threading.Lock().acquire(timeout=given["deadline"])
    raise ConfigurationError("reached")


def _environments() -> list[bytes]:
    whole = {
        "JOINTFIT_RANK": "1",
        "JOINTFIT_ADDRESSES": "127.0.0.1:7000,[::1]:7001,b.example.org:7002",
        "JOINTFIT_CREDENTIALS": "/tmp/nowhere",
        "JOINTFIT_DEALER": "last",
        "JOINTFIT_DEADLINE": "30",
        "JOINTFIT_LISTEN_FD": "none",
    }
    return ["\n".join(f"{name}={value}" for name, value in whole.items()).encode()]


HARNESSES = (
    Harness(
        "address",
        _address,
        lambda: [b"127.0.0.1:7000", b"[::1]:65535", b"hospital-a.example.org:7401"],
        (ConfigurationError,),
        (b":", b"[", b"]", "²".encode(), "٣".encode()),
        share=4,
    ),
    Harness(
        "environment",
        _environment,
        _environments,
        (ConfigurationError, IdentityError),
        (
            b"JOINTFIT_RANK=", b"JOINTFIT_DEALER=none", b"JOINTFIT_PROTOCOL=replicated", b"OMPI_COMM_WORLD_SIZE=",
            json.dumps("²").encode(),
        ),
        share=0.5,
    ),
)
