"""The live view of --progress: what is drawn on a terminal, what is said elsewhere, and what ranks tell for it."""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import mpc
import mpc.live
from mpc import logs
from mpc.board import Board
from mpc.live import Lines, View
from mpc.progress import progress
from mpc.pulse import HERE, Beat, Pulse, pulse_of
from parties import ConfigurationError, Counts, Role
from parties.launch import PROGRESS
from tests.mpc.terminals import Terminal

PARENT = """
import sys
from mpc.live import watching
from parties.launch import run_local
with watching(True, {names}) as progress:
    code = run_local([sys.executable, "-c", {child!r}], 3, prefix={prefix}, progress=progress)
sys.exit(code)
"""
CHILD = """
import os, sys, time
from mpc.pulse import Beat
rank, pipe = int(os.environ["JOINTFIT_RANK"]), int(os.environ["JOINTFIT_PROGRESS"])
print("pid", os.getpid())
for step in range({steps}):
    peers = {{peer: step * 500_000 for peer in range(3) if peer != rank}}
    now = time.monotonic()
    beat = Beat(rank, "computing", now, now, 10 * step, peers, peers, "fit [b]", step + 1, {steps}, 2, 0.25)
    os.write(pipe, beat.line())
    print("out of", rank, step, "long " * 30 + "end")
    print("\\x1b[31merr\\x1b[0m of", rank, step, file=sys.stderr)
    time.sleep(0.15)
sys.exit({code} if rank == 1 else 0)
"""


TABLE = re.compile(r"^(fit .*)\n━+ +0:00:0\d left\n(MB/s .*)\n(anna .*\nbert .*\ncecile .*)\n*\Z", re.MULTILINE)


def parent(*, steps=4, code=0, names=(), prefix=True):
    return [sys.executable, "-c", PARENT.format(child=CHILD.format(steps=steps, code=code), names=names, prefix=prefix)]


def beat(moment, done=0, *, rank=0, total=100, sent=None, received=None, **more):
    return Beat(rank, "computing", moment, moment / 2, int(10 * moment), sent or {}, received or {},
                done=done, total=total, **more)  # fmt: skip


# Speeds --------------------------------------------------------------------------------------------------------------


def test_speeds_are_those_of_the_last_seconds():
    board, now = Board(), time.monotonic()
    for second in range(21):  # slow at first
        sent = 1_000 * second if second < 15 else 15_000 + 1_000_000 * (second - 15)
        board.beat(beat(now - 20 + second, sent={1: sent}, received={1: 500 * second}))
    assert board.sends(0) == {1: pytest.approx(1_000_000)}
    assert board.receives(0) == {1: pytest.approx(500)}
    assert board.rounds(0) == pytest.approx(10, rel=0.05)
    assert board.works(0) == pytest.approx(0.5)
    assert board.idle(0) == 0.0


def test_lines_that_are_no_beats_are_left_out():
    good = beat(5.0, what="fit\x1b[2J", sent={1: 7})
    view = View(["anna"])
    late, negative = good.line().replace(b"5.0", b"1e300"), beat(5.0, sent={1: -7}).line()
    for line in (b"", good.line()[:-9], b"[]", late, negative):
        view.read(line)
    assert view.ranks == []
    view.read(good.line())
    assert view.last(0).what == "fit[2J"
    assert view.name(7) == "rank 7"


def test_time_left_follows_the_last_steps_and_begins_anew_with_another_loop():
    board, now = Board(), time.monotonic()
    assert board.left() is None
    board.beat(beat(now - 100, 50))
    assert board.left() is None, "one moment says no speed"
    for second in range(51):
        board.beat(beat(now - 50 + second, 50 + second // 2, total=200))
    assert board.left() == pytest.approx(250, rel=0.05)
    for second in range(3):  # steps that take minutes each
        board.beat(beat(now + 200 * second, second, total=10))
    assert board.left() == pytest.approx(8 * 200, rel=0.01)


def test_a_rank_that_waits_is_seen():
    board, now = Board(["anna", "bert"]), time.monotonic()
    for second in range(9):
        board.beat(beat(now - 8 + second, 3, sent={1: min(second, 2) * 1_000_000}))
    assert board.idle(0) == pytest.approx(6, abs=0.5)
    assert "step 3 of 100" in board.line()
    assert "0.00 MB/s to bert" in board.line()
    assert "no message for 6 s" in board.line()


# On a terminal -------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize(("columns", "code"), [(100, 0), (60, 7)])
def test_a_table_below_what_ranks_print(tmp_path, columns, code):
    terminal = Terminal(parent(code=code, names=("anna", "bert", "cecile")), tmp_path, columns=columns)
    assert terminal.wait() == code
    table = [found for text in terminal.seen if (found := TABLE.search(text))][-1]
    assert table[1] == "fit [b]: step 4 of 4, epoch 2 of 2, loss 0.2500"
    wide = columns == 100
    peers = ["to", "anna", "to", "bert", "to", "cecile"] if wide else ["sends"]
    assert table[2].split() == ["MB/s", "step", "rounds/s", *peers, "CPU", "loss"]
    rows = [line.split() for line in table[3].splitlines()]
    assert [row[:3] for row in rows] == [[name, "computing", "4"] for name in ("anna", "bert", "cecile")]
    speeds = [[float(cell) for cell in row[4 : 6 if wide else 5]] for row in rows]
    assert all(0.2 < speed / (1 if wide else 2) < 3.4 for row in speeds for speed in row), "500 kB each 0.15 s or more"
    check_output(terminal, code)


def check_output(terminal, code):
    """All lines are there, whole and in order, and nothing else remains."""
    final = terminal.seen[-1]
    wrapped = "".join(line.ljust(terminal.screen.columns) for line in final.splitlines())
    for rank in range(3):
        found = re.findall(rf"\[{rank}\] out of {rank} (\d) ((?:long ){{30}}end)", wrapped)
        assert [int(step) for step, _ in found] == list(range(4))
        errors = re.findall(rf"^\[{rank}\] err of {rank} (\d)$", final, re.MULTILINE)
        assert [int(step) for step in errors] == list(range(4))
    assert "MB/s" not in final
    assert "━" not in final
    assert "fit [b]: step 4 of 4, epoch 2 of 2, 30 rounds; sent: anna 3.0 MB, bert 3.0 MB, cecile 3.0 MB" in wrapped
    assert ("rank 1 ended with exit code 7" in wrapped) == (code == 7)
    assert not terminal.screen.hidden
    assert "\x1b[31m" in terminal.raw, "colours stay"


@pytest.mark.processes
def test_standard_output_in_a_file_stays_there(tmp_path):
    out = tmp_path / "out.txt"
    terminal = Terminal(parent(prefix=False), tmp_path, out=out)
    assert terminal.wait() == 0
    lines = [line for line in out.read_text().splitlines() if not line.startswith("pid")]
    assert sorted(lines) == sorted(f"out of {rank} {step} {'long ' * 30}end" for rank in range(3) for step in range(4))
    assert "out of" not in terminal.raw
    assert "err\x1b[0m of 2 3" in terminal.raw
    assert any("to rank 2" in text for text in terminal.seen)


@pytest.mark.processes
def test_ctrl_c_ends_all_and_gives_the_terminal_back(tmp_path):
    terminal = Terminal(parent(steps=1000), tmp_path)

    def interrupt(text):
        if "MB/s" not in text or text.count("pid ") < 3:
            return False
        terminal.process.send_signal(signal.SIGINT)
        return True

    assert terminal.wait(interrupt) == 130
    assert "jointfit run: interrupted; all ranks were ended" in terminal.seen[-1]
    assert not terminal.screen.hidden
    assert "MB/s" not in terminal.seen[-1]
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", terminal.seen[-1])]
    assert len(pids) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_terminal_without_a_cursor_gets_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    for term, drawn in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", term)
        assert mpc.live.draws() is drawn


# Elsewhere -----------------------------------------------------------------------------------------------------------


def lines_of(pause, seconds, **more):
    lines, now = Lines(("anna", "bert"), pause=pause), time.monotonic() - 0.5
    for second in range(seconds):
        lines.beat(beat(now + second, second, total=300, sent={1: second * 250_000}, **more))


def test_lines_come_now_and_then_more_and_more_seldom(capsys):
    lines_of(5.0, 300)
    said = capsys.readouterr().err.splitlines()
    assert [int(line.split()[1]) for line in said] == [6, 16, 36, 76, 136, 196, 256]
    assert said[2] == "step 36 of 300, 10.0 rounds/s, 0.25 MB/s to bert, about 0:04:24 left"
    assert "\x1b" not in "".join(said)


def test_lines_go_to_the_log_where_there_is_one(capsys, restored):
    logs.begin("anna", ("anna", "bert"), as_json=True)
    lines_of(2.0, 4, loss=0.125)
    (entry,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert entry["event"] == "progress"
    assert (entry["step"], entry["steps"], entry["loss"], entry["party"]) == (3, 300, 0.125, "anna")
    assert entry["rounds_per_second"] == 10.0
    logs.begin("anna", ("anna", "bert"), level="warning")
    lines_of(2.0, 4)
    assert capsys.readouterr().err == ""


# What ranks tell -----------------------------------------------------------------------------------------------------


def session(rank=0, agreed=None, transport="tls"):
    counts = Counts()
    party = SimpleNamespace(channel=SimpleNamespace(transport=transport))
    made = SimpleNamespace(rank=rank, role=Role.COMPUTING, counts=counts, agreed=agreed, party=party, pulse=None)
    made.is_planner = False
    counts.sent(counts.line("online", "x"), 1, 700)
    counts.line("online", "x").rounds = 3
    return made


def test_beats_through_a_pipe(monkeypatch):
    ours, theirs = os.pipe()
    monkeypatch.setenv(PROGRESS, str(theirs))
    one = session()
    one.pulse = pulse_of(one)
    shown = progress(one, range(4, 8), 8, "fit", epochs=2)
    for step in shown:
        shown.loss = step / 8
    assert one.pulse.what == "", "the loop is over"
    one.pulse.close()
    with os.fdopen(ours, "rb") as reader:
        os.close(theirs)
        beats = [Beat.of(line) for line in reader]
    assert len(beats) == 2, "at the begin and at the end"
    assert beats[0].sent == {1: 700}
    assert (beats[0].rounds, beats[0].over) == (3, False)
    assert (beats[1].done, beats[1].total, beats[1].loss, beats[1].over) == (8, 8, 7 / 8, True)
    assert beats[1].time >= beats[0].time
    assert not [thread for thread in threading.enumerate() if thread.name == "pulse"]


def test_nobody_who_reads_stops_a_rank(monkeypatch):
    ours, theirs = os.pipe()
    monkeypatch.setenv(PROGRESS, str(theirs))
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, bytes(512))
    pulse_of(session()).close()  # full
    os.close(ours)
    pulse_of(session()).close()  # broken
    os.close(theirs)


def test_what_is_no_pipe_is_refused(monkeypatch, tmp_path):
    with (tmp_path / "file").open("w") as file:
        for said in (str(file.fileno()), "999999", "everywhere"):
            monkeypatch.setenv(PROGRESS, said)
            with pytest.raises(ConfigurationError, match=f"JOINTFIT_PROGRESS is '{said}'"):
                pulse_of(session())


def test_who_shows_it_here(monkeypatch, capsys):
    monkeypatch.setenv(PROGRESS, HERE)
    monkeypatch.setattr(mpc.live, "_FIRST_LINE", 0.0)
    agreed = SimpleNamespace(names=("anna", "bert"))
    for rank, job, shown in [(0, None, True), (1, None, False), (1, agreed, True)]:
        pulse = pulse_of(session(rank, job))
        assert (pulse is not None) is shown
        if pulse is not None:
            pulse.close()
    assert pulse_of(session(transport="threads")) is None
    assert mpc.simulate(3, lambda one: one.pulse) == [None] * 3
    monkeypatch.delenv(PROGRESS)
    assert pulse_of(session()) is None
    assert capsys.readouterr().err == ""


def test_a_loss_that_is_revealed_by_that_name_is_told():
    """And nothing else that is revealed."""
    def program(one):
        beats = []
        one.pulse = Pulse(one, beats.append, lambda: None)
        x = one.share([3.0, 5.0] if one.rank == 0 else None, owner=0)
        for _ in one.steps(2, None, None):
            one.reveal(x.sum(), to=1, name="sum")
            one.reveal(x, to=1, name="loss")
            one.reveal(x.mean(), to=1, name="loss")
        one.pulse.close()
        one.pulse = None
        return beats[-1]

    beats = mpc.simulate(3, program)
    assert [each.loss for each in beats] == [None, 4.0, None]
    assert [(each.done, each.total) for each in beats] == [(2, 2)] * 3
    assert beats[0].sent[1] > 0
    assert beats[0].rounds > 0


def test_commands_refuse_progress_and_quiet(capsys):
    from mpc.cli import main

    assert main(["run", "--progress", "--quiet", "-n", "3", __file__]) == 2
    assert "got --progress and --quiet; want one of them" in capsys.readouterr().err
