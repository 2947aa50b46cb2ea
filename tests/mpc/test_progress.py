"""The progress bar: on rank 0, on a terminal only."""

import io
import sys
from types import SimpleNamespace

from mpc.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, rank, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(SimpleNamespace(rank=rank), range(3), 3, "training")) == [0, 1, 2]
    return stream.getvalue()


def test_only_rank_0_on_a_terminal_shows_it(monkeypatch):
    assert "training" in shown(monkeypatch, 0, Terminal())
    assert shown(monkeypatch, 1, Terminal()) == ""
    assert shown(monkeypatch, 0, io.StringIO()) == ""
    assert list(progress(None, range(2), 2, "plain")) == [0, 1]
