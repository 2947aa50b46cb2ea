"""The experiment that holds estimates against runs, with threads in the place of processes and few steps."""

import dataclasses
import json

import pytest

import mpc
from experiments.estimates import __main__ as program
from experiments.estimates import config
from experiments.estimates.measure import Measured
from experiments.estimates.program import moment, train
from experiments.scaling.probe import Probe


@pytest.fixture
def quick(monkeypatch):
    """Runs among threads; a network that was not probed."""
    wrong = {"bytes": 0}

    def measured(name, network):
        def run(session):
            found = []
            train(session, name, 6, lambda: found.append(moment(session)))
            found[-1] = dataclasses.replace(found[-1], bytes=found[-1].bytes + wrong["bytes"])
            return tuple(found)

        return Measured(1e-3, 1e-3, tuple(mpc.simulate(3, run)))

    monkeypatch.setattr(program, "STEPS", 6)
    monkeypatch.setattr(program, "measured", measured)
    monkeypatch.setattr(program, "probe", lambda round_trip, speed: Probe(round_trip, speed, 1e-5, 1e-10))
    return wrong


def test_bytes_and_rounds_are_compared(quick, capsys):
    """What threads send is what was estimated; a byte more is noticed. The seconds, made up here, are far off."""
    arguments = ["--only", "logistic", "--networks", "wan", "--repeats", "1"]
    assert program.main(arguments) == 2
    said = capsys.readouterr()
    assert f"| {config.CASES['logistic'].title} | wan |" in said.out
    assert "times what was measured" in said.err
    quick["bytes"] = 1
    assert program.main([*arguments, "--json"]) == 1
    said = capsys.readouterr()
    (line,) = json.loads(said.out)
    assert line["estimated"] > 8 * 0.02  # eight rounds on the wan
    assert len(line["differences"]) == 1
    assert "logistic on wan: run 0: got (" in said.err
