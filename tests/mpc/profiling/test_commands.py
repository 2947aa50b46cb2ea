"""`jointfit profile`, and what processes write by themselves."""

import json
import os

import pytest

import mpc
import parties.launch
from mpc import cli
from mpc.profiling import FOLDER
from tests.mpc.profiling.programs import check_files, sequential
from tests.mpc.profiling.test_files import check_trace
from tests.parties.starting import ROOT


@pytest.mark.processes
def test_processes_over_tls(tmp_path, capfd, monkeypatch, forked):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    arguments = ["profile", "-n", "3", "--by", "part", "--out", str(tmp_path), "-m", "tests.mpc.profiling"]
    (tmp_path / "rank-7.json").write_text("of an older run")
    assert cli.main([*arguments, str(tmp_path)]) == 0
    p = check_files(tmp_path, 3)
    out = capfd.readouterr().out
    assert p.table(by=("part",)).splitlines()[4] in out
    assert [f"\nrank {rank} of 3, " in out for rank in range(4)] == [True, True, True, False]
    _, flows = check_trace(json.loads((tmp_path / "trace.json").read_text()))
    assert len(flows) > 30
    files = [str(tmp_path / f"rank-{rank}.json") for rank in (1, 2)]
    assert cli.main(["profile", "--no-trace", "--read", *files]) == 0
    assert capfd.readouterr().out.startswith("rank 1 of 3, computing\n")


def test_sessions_of_one_process_profile_themselves(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "a" / "b"))

    def program(session):
        mpc.plan(lambda planner: planner.share(None, owner=0, shape=(2, 2)).relu(), 3)  # is in no file
        sequential(session)
        return session.counts

    counts = mpc.simulate(3, program)
    p = mpc.Profile.load(*(tmp_path / "a" / "b").iterdir())
    assert [p.total(rank).sent for rank in range(3)] == [each.bytes_sent for each in counts]
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    with pytest.raises(mpc.ConfigurationError, match="cannot make the folder"):
        mpc.simulate(3, sequential)


def test_options_reach_the_run(monkeypatch, tmp_path):
    seen = {}

    def run_local(command, ranks, *_, **settings):
        seen.update(command=command[1:], ranks=ranks, environ=settings["environ"])
        return 4

    monkeypatch.setattr(parties.launch, "run_local", run_local)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["profile", "-n", "4", __file__, "--by", "its own"]) == 4
    folder = str(tmp_path / "jointfit-profile")
    assert seen == {"command": [__file__, "--by", "its own"], "ranks": 4, "environ": {FOLDER: folder}}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--by", "modul", __file__], "rows by 'modul'"),
        (["--sort", "size", __file__], "sorted by 'size'"),
        (["--read", "none.json"], "cannot read none.json"),
        (["--job", "job.toml", "--read", "none.json"], "got --read and something to run"),
        (["none.py"], "found no program none.py"),
    ],
)
def test_what_cannot_be_profiled_is_said(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["profile", *arguments]) == 2
    assert text in capsys.readouterr().err
