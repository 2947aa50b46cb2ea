"""What TLS costs: real processes over plain sockets, and what becomes of the figures."""

from unittest import mock

import pytest

from experiments.tls import __main__ as tls


@pytest.mark.processes
def test_plain_sockets(forked):
    found = tls.run("plain", "logistic-again", 1)
    assert set(found) == {"clock", "processor"}
    assert all(figure > 0 for figure in found.values())


@pytest.mark.parametrize(("costs", "code", "said"), [([12, 13, 19], 1, "1.30"), ([11, 12, 19], 0, "1.20")])
def test_the_median_counts(costs, code, said, capsys):
    clock = {"tls": iter(costs), "plain": iter([10, 10, 10])}
    with mock.patch.object(tls, "run", lambda transport, *_: {"clock": next(clock[transport]), "processor": 1.0}):
        assert tls.main(["--runs", "3"]) == code
    assert f"median ratio {said}; want at most 1.25" in capsys.readouterr().out
