"""Short texts: addresses, and what the environment says."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Sequence
from unittest import mock

from parties import ConfigurationError
from parties.roles import connect, parse_address
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
    with mock.patch("parties.tls.TlsChannel", _reached):
        connect(environ=environ)


def _reached(
    rank: int, routes: Sequence[object], credentials: object, *, doors: object, deadline: float, breaks: float
) -> None:
    """Stand in for TlsChannel: what it gets must be fit to open sockets with."""
    Replay(b"", rank, len(routes), deadline)
    select.poll().poll(0 * deadline)
    threading.Lock().acquire(timeout=deadline)
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
        (ConfigurationError,),
        (b"JOINTFIT_RANK=", b"JOINTFIT_DEALER=none", b"OMPI_COMM_WORLD_SIZE=", json.dumps("²").encode()),
        share=1,
    ),
)
