"""Progress: a bar on a terminal, lines in the log elsewhere."""

import io
import logging
import sys
from types import SimpleNamespace

import pytest

import mpc.progress
from mpc import logs
from mpc.progress import progress
from parties import Counts


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Each look takes a while."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


def session(rank=0, agreed=None):
    counts = Counts()
    counts.line("online", "x").rounds = 12
    counts.line("online", "x").bytes_sent = 2_500_000
    return SimpleNamespace(rank=rank, agreed=agreed, counts=counts, pulse=None)


@pytest.fixture
def stream(monkeypatch):
    def use(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    monkeypatch.delenv("JOINTFIT_RANK", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return use


def walk(bar):
    for step in bar:
        if step % 2:
            bar.loss = 0.25
        yield step


def test_a_bar_on_a_terminal(stream):
    for rank, agreed, shown in [(0, None, True), (1, None, False), (1, object(), True)]:
        err = stream(Terminal())
        assert list(walk(progress(session(rank, agreed), range(4), 4, "training", epochs=2))) == [0, 1, 2, 3]
        text = err.getvalue()
        assert ("training: step 4 of 4, epoch 2 of 2, 12 rounds, 2.5 MB sent, loss 0.2500" in text) is shown
    err = stream(Terminal())
    assert list(progress(None, range(2), 2, "plain")) == [0, 1]
    assert err.getvalue() == ""


def test_what_a_program_prints_stays_where_it_goes(stream, capsys):
    err = stream(Terminal())
    for step in progress(session(), range(2), 2, "training"):
        print("printed", step)
    assert capsys.readouterr().out == "printed 0\nprinted 1\n"
    assert "printed" not in err.getvalue()


def test_members_of_a_rehearsal_share_a_terminal(stream, monkeypatch):
    monkeypatch.setenv("JOINTFIT_RANK", "1")
    err = stream(Terminal())
    list(progress(session(1, object()), range(3), 3, "training"))
    assert err.getvalue() == ""


def test_lines_in_the_log_elsewhere(stream, monkeypatch, caplog):
    stream(io.StringIO())
    monkeypatch.setattr(mpc.progress, "time", Clock(2.0))
    with caplog.at_level(logging.INFO):
        assert list(walk(progress(session(1), range(2, 8), 8, "training", epochs=4))) == [2, 3, 4, 5, 6, 7]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("training: step 4 of 8, epoch 2 of 4, 12 rounds, 2.5 MB sent, loss 0.2500, about ")
    assert said[-1].endswith("about 0 s left")
    assert caplog.records[0].step == 4
    assert caplog.records[0].loss == 0.25


def test_quiet_shows_nothing(stream, restored):
    logs.begin("a", level="warning")
    err = stream(Terminal())
    list(progress(session(0), range(3), 3, "training"))
    assert err.getvalue() == ""
