"""Networks between institutions: round trip and bandwidth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from parties import ConfigurationError

_TIME = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_SPEED = {"kbit": 1e3 / 8, "mbit": 1e6 / 8, "gbit": 1e9 / 8, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_NUMBER = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})\s?([a-zµ]{1,5})(?:/s)?")
_MOST = 100


@dataclass(frozen=True)
class Network:
    """A network that treats all ranks alike.

    Attributes:
        name: for tables.
        round_trip: seconds from one rank to another and back.
        bandwidth: bytes a second that a rank can send, and as many that it can receive at the same time.
        apart: whether each pair of ranks has that bandwidth for itself, as in an emulation; otherwise what a rank
            sends to several others shares its line, and what it receives likewise.
    """

    name: str
    round_trip: float
    bandwidth: float
    apart: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.round_trip < 60 and 1e3 <= self.bandwidth < 1e13):
            got = f"a round trip of {self.round_trip} s and {self.bandwidth} bytes/s"
            raise ConfigurationError(f"network {self.name}: got {got}; want less than a minute, and 1 kB/s or more")

    def __str__(self) -> str:
        speed = 8 * self.bandwidth
        unit, by = next(((u, b) for u, b in (("Gbit/s", 1e9), ("Mbit/s", 1e6)) if speed >= b), ("kbit/s", 1e3))
        figures = f"{1e3 * self.round_trip:g} ms round trip, {speed / by:g} {unit}"
        return f"{self.name}: {figures}" if self.name in NETWORKS else figures


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "lan": Network("lan", 0.2e-3, 10e9 / 8),
        "metro": Network("metro", 5e-3, 1e9 / 8),
        "wan": Network("wan", 40e-3, 100e6 / 8),
    }
)


def network(text: str | Network) -> Network:
    """A network by its name, or by "RTT,BANDWIDTH" such as ``30ms,50mbit``.

    Times end in us, ms or s; bandwidths, of each direction, in kbit, mbit or gbit, or in kB, MB or GB (a second).
    Raises ConfigurationError for anything else.
    """
    if isinstance(text, Network):
        return text
    known = NETWORKS.get(text.strip().lower())
    if known is not None:
        return known
    trip, comma, speed = text.partition(",")
    if not comma:
        names = ", ".join(NETWORKS)
        raise ConfigurationError(f"network {text[:100]!r}; want one of {names}, or RTT,BANDWIDTH such as 30ms,50mbit")
    return Network(
        text.strip(),
        _read(trip, _TIME, "a round trip such as 30ms"),
        _read(speed, _SPEED, "a bandwidth such as 50mbit"),
    )


def networks(text: str) -> list[Network]:
    """Several, with commas between: ``lan,wan,30ms,50mbit`` are three."""
    parts = [part.strip() for part in text.split(",", _MOST)]
    if len(parts) > _MOST:
        raise ConfigurationError(f"networks: got more than {_MOST} parts between commas; want fewer")
    found: list[Network] = []
    while parts:
        size = 1 if parts[0].lower() in NETWORKS or len(parts) == 1 else 2
        found.append(network(",".join(parts[:size])))
        parts = parts[size:]
    return found


def _read(text: str, units: Mapping[str, float], want: str) -> float:
    match = _NUMBER.fullmatch(text.strip().lower())
    unit = units.get(match[2]) if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"network: got {text.strip()[:100]!r}; want {want} ({', '.join(units)})")
    return float(match[1]) * unit
