"""Names of networks, and what is said of others."""

import pytest

import mpc
from mpc.estimating.networks import NETWORKS, network, networks


def test_names_and_figures():
    assert network("wan") is NETWORKS["wan"]
    assert (network("LAN").round_trip, network("lan").bandwidth) == (0.2e-3, 1.25e9)
    for text in ("30ms,50mbit", "30 ms, 50 Mbit/s", "0.03s,6.25MB", "30000us,50000kbit"):
        found = network(text)
        assert found.round_trip == pytest.approx(0.03)
        assert found.bandwidth == pytest.approx(6.25e6)
    assert str(network("30ms,50mbit")) == "30 ms round trip, 50 Mbit/s"
    assert str(network("metro")) == "metro: 5 ms round trip, 1 Gbit/s"
    assert [one.name for one in networks("lan,30ms,50mbit,wan")] == ["lan", "30ms,50mbit", "wan"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("wam", "network 'wam'; want one of lan, metro, wan, or RTT,BANDWIDTH such as 30ms,50mbit"),
        ("30,50mbit", r"got '30'; want a round trip such as 30ms \(us, µs, ms, s\)"),
        ("30ms,50", "got '50'; want a bandwidth such as 50mbit"),
        ("30ms,-5mbit", "got '-5mbit'; want a bandwidth"),
        ("30ms,0mbit", "want less than a minute, and 1 kB/s or more"),
        ("90s,1mbit", "want less than a minute"),
        ("", "want one of lan"),
        ("7" * 100_000 + "x,1mbit", "want a round trip"),
        ("lan," * 200, "more than 100 parts"),
    ],
)
def test_what_is_no_network(text, error):
    with pytest.raises(mpc.ConfigurationError, match=error):
        networks(text)
