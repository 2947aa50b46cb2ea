"""The command line, without starting ranks."""

import pytest

import mpc
from mpc import cli


def test_version_and_help(capsys):
    for arguments, text in [
        (["--version"], f"jointfit {mpc.__version__}"),
        (["--help"], "run a program on several ranks"),
        (["run", "--help"], "jointfit run -n 4 train.py --epochs 20"),
        (["deal", "--help"], "jointfit deal -n 3 --out deal train.py"),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
        assert text in capsys.readouterr().out
    assert cli.main([]) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "-n", "3"], "no program"),
        (["run", "-n", "3", "none.py"], "found no program none.py"),
        (["run", "-n", "2", __file__], "got 2, want at least 3"),
        (["run", "-n", "2", "--correlations", "nowhere", __file__], "found no folder nowhere"),
        (["deal", "-n", "2", "--out", "nowhere", __file__], "got 2, want at least 3"),
        (["deal", "--out", "nowhere"], "no program"),
    ],
)
def test_what_cannot_start_is_said(arguments, text, capsys):
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_the_program_keeps_its_options(monkeypatch):
    seen = {}

    def run_local(command, ranks, base_port, **others):
        seen.update(command=command[1:], ranks=ranks, base_port=base_port, **others)
        return 7

    monkeypatch.setattr(cli, "run_local", run_local)
    assert cli.main(["run", "-n", "4", "--base-port", "9000", __file__, "--epochs", "2", "-n", "9"]) == 7
    assert seen == {
        "command": [__file__, "--epochs", "2", "-n", "9"],
        "ranks": 4,
        "base_port": 9000,
        "dealer": True,
        "clients": 0,
        "prefix": True,
        "environ": {},
    }
    cli.main(["run", "-m", "experiments.clinical", "--epochs", "1"])
    assert seen["command"] == ["-m", "experiments.clinical", "--epochs", "1"]
    assert seen["ranks"] == 3
    cli.main(["run", "-n", "4", "--clients", "1", __file__])
    assert (seen["ranks"], seen["clients"]) == (4, 1)
