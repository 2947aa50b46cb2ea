"""Logs: readable or JSON lines, with names instead of ranks."""

import json
import logging
import re

from mpc import logs


def test_readable_lines(restored, capsys):
    logs.begin("hospital_a", ["hospital_a", "hospital_b", "dealer"])
    logging.getLogger("parties.tls").info("connected with rank %d (%s)", 1, "tls 1.3")
    logging.getLogger("mpc.anything").debug("not shown")
    logging.getLogger("jointfit").warning("ranks 0 and 2 differ, rank 7 is unknown")
    one, two = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO hospital_a: connected with hospital_b \(tls 1\.3\)", one)
    assert two.endswith("WARNING hospital_a: hospital_a and dealer differ, rank 7 is unknown")


def test_json_lines(restored, capsys):
    logs.begin("hospital_a", ["hospital_a", "hospital_b"], level="debug", as_json=True)
    log = logging.getLogger("mpc.jobs")
    log.debug("lost rank %d", 1, extra={"event": "broken", "peer": 1, "seconds": 2.5})
    try:
        int("why")
    except ValueError:
        log.exception("bad")
    one, two = map(json.loads, capsys.readouterr().err.splitlines())
    time = one.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", time)
    assert one == {
        "level": "debug",
        "party": "hospital_a",
        "event": "broken",
        "message": "lost hospital_b",
        "peer": 1,
        "seconds": 2.5,
    }
    assert two["event"] == "mpc.jobs"
    assert "ValueError: invalid" in two["trace"]


def test_a_second_begin_replaces_the_first(restored, capsys):
    logs.begin("a")
    logs.begin("b")
    logging.getLogger("jointfit").info("once")
    assert capsys.readouterr().err.count("once") == 1
    assert not logs.quiet()
    logs.begin("b", level="error")
    assert logs.quiet()
