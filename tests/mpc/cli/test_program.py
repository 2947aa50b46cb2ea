"""`jointfit run` and `jointfit deal` of any program, without starting ranks; the parser."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mpc
import parties.launch
from mpc import cli

ROOT = Path(__file__).resolve().parents[3]
READY = {"keygen", "fingerprint", "columns", "init", "describe", "schema", "check"}
COMMANDS = READY | {"party", "dealer", "relay", "run", "deal", "log"}


def test_version_and_help(capsys):
    for arguments, text in [
        (["--version"], f"jointfit {mpc.__version__}"),
        (["--help"], "run a program, or rehearse a job"),
        (["run", "--help"], "jointfit run -n 4 train.py --epochs 20"),
        (["deal", "--help"], "jointfit deal -n 3 --out deal train.py"),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
        assert text in capsys.readouterr().out
    assert cli.main([]) == 2


def test_every_command_has_examples_and_exit_codes(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        text = capsys.readouterr().out
        assert "examples:" in text
        assert "exit codes:\n  0    ended well" in text
        assert max(map(len, text.splitlines())) <= 120, command
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert listed >= COMMANDS


def test_services_give_options_that_exist():
    """What the systemd units and the compose file run."""
    units = [path.read_text("utf-8") for path in (ROOT / "launch_scripts" / "systemd").glob("*.service")]
    texts = [re.search(r"^ExecStart=\S+/jointfit ((?:.*\\\n)*.*)$", text, re.MULTILINE)[1] for text in units]
    lists = [shlex.split(text.replace("\\\n", " ").replace("$JOINTFIT_OPTIONS", "--resume")) for text in texts]
    compose = (ROOT / "launch_scripts" / "compose" / "compose.yaml").read_text("utf-8")
    found = re.findall(r"^    command:\n((?:      - .*\n)+)", compose, re.MULTILINE)
    lists += [[line.removeprefix("      - ") for line in block.splitlines()] for block in found]
    assert len(lists) == 6
    for arguments in lists:
        options = cli.make_parser().parse_args(arguments)
        assert options.act.__name__ == arguments[0]
        assert options.log_json


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--print-completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    if shell == "bash":  # it runs, and completes commands, options and files
        asked = "\ncomplete -p jointfit"
        done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, timeout=20, check=False)
        assert "-F" in done.stdout, done
        assert "_shtab_compgen_files" in script


def test_help_and_keys_need_no_torch(tmp_path):
    """What starts without torch starts in a fraction of a second."""
    code = f"""
import sys
from mpc.cli import main
for arguments in (["keygen", "a", "--out", {str(tmp_path)!r}], ["init", {str(tmp_path)!r}], ["schema"],
                  ["describe", "--job", {str(tmp_path / "job.toml")!r}], ["relay", "--listen", "nowhere"]):
    main(arguments)
sys.exit("torch" in sys.modules or "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "address 'nowhere'; want host:port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "-n", "3"], "no program"),
        (["run", "-n", "3", "none.py"], "found no program none.py"),
        (["run", "-n", "2", __file__], "1 computing party and a dealer; want 3 ranks: start with -n 3"),
        (["run", "-n", "2", "--correlations", "nowhere", __file__], "found no folder nowhere"),
        (["run", "-n", "4", "--protocol", "replicated", __file__], "4 computing parties and no dealer; want 3"),
        (["run", "--protocol", "plain", __file__], "'plain' wants exactly 1 computing party and no"),
        (["run", "--job", "job.toml", "--protocol", "additive"], "a job says its protocol itself"),
        (["deal", "--protocol", "replicated", "--out", "nowhere", __file__], "'replicated' has no dealer: nothing is"),
        (["deal", "-n", "2", "--out", "nowhere", __file__], "1 computing party and a dealer; want 3 ranks"),
        (["deal", "--out", "nowhere"], "no program"),
    ],
)
def test_what_cannot_start_is_said(arguments, text, capsys):
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_the_program_keeps_its_options(monkeypatch):
    seen = {}

    def run_local(command, ranks, base_port, **settings):
        seen.update(command=command[1:], ranks=ranks, base_port=base_port, **settings)
        return 7

    monkeypatch.setattr(parties.launch, "run_local", run_local)
    assert cli.main(["run", "-n", "4", "--base-port", "9000", __file__, "--epochs", "2", "-n", "9"]) == 7
    assert seen == {
        "command": [__file__, "--epochs", "2", "-n", "9"],
        "ranks": 4,
        "base_port": 9000,
        "dealer": None,
        "clients": 0,
        "prefix": True,
        "environ": {},
        "progress": None,
    }
    cli.main(["run", "--progress", __file__])
    assert seen["environ"] == {"JOINTFIT_PROGRESS": "here"}, "rank 0 says lines: standard error is no terminal"
    cli.main(["run", "--protocol", "replicated", __file__])
    assert seen["environ"] == {"JOINTFIT_PROTOCOL": "replicated"}
    cli.main(["run", "-m", "experiments.clinical", "--epochs", "1"])
    assert seen["command"] == ["-m", "experiments.clinical", "--epochs", "1"]
    assert seen["ranks"] == 3
