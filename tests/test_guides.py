"""The guides in EXTENDING.md: their files are written down as they stand, their commands run, their output compared."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import mpc
import protocols
from mpc.cli import make_parser
from mpc.lookup import Table
from parties import ConfigurationError

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / package / "EXTENDING.md" for package in ("protocols", "parties", "mpc")]
BLOCK = re.compile(r"(?ms)(?:^<!-- file: (?P<file>[\w.]+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$")


def blocks(guide):
    """(file name or None, kind, text) of every block of code."""
    found = [(block["file"], block["kind"], block["text"]) for block in BLOCK.finditer(guide.read_text("utf-8"))]
    assert len(found) == guide.read_text("utf-8").count("\n```") // 2
    return found


def test_each_command_of_the_readme_is_one(capsys):
    """What stands behind jointfit in a block of commands is understood; that files are there is another matter."""
    parser = make_parser()
    shell = [text for _, kind, text in blocks(ROOT / "README.md") if kind == "sh"]
    lines = [shlex.split(line, comments=True) for text in shell for line in text.splitlines()]
    lines = [words[1:] for words in lines if words[:1] == ["jointfit"]]
    assert len(lines) > 8
    for line in lines:
        try:
            parser.parse_args(line)
        except SystemExit:
            pytest.fail(f"jointfit {shlex.join(line)}: {capsys.readouterr().err}")


PAGES = [path for pattern in ("*.md", "*/*.md", "*/*/*.md") for path in ROOT.glob(pattern) if ".venv" not in path.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_tables_have_whole_rows(page):
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8"))
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert "://" in link or (page.parent / link).exists(), link
    for table in re.findall(r"(?m)(?:^\|.*\|$\n)+", text):
        assert len({re.sub(r"`[^`]*`", "", row).count("|") for row in table.splitlines()}) == 1, table


def test_a_cell_that_is_run_again_takes_its_own_place_and_no_other():
    registry, table = protocols.Registry(), Table()
    for module in ("__main__", "__main__", "elsewhere", "elsewhere"):
        maker = type("Mine", (protocols.InsecurePlain,), {"__module__": module})

        def kernel(x):
            return x

        kernel.__module__ = module
        if module == "__main__":
            registry.register("mine", maker)
            table.implements("op")(kernel)
            assert registry.make("mine").__class__ is maker
            assert table.kernels["op"] is kernel
            continue
        with pytest.raises(ConfigurationError, match="'mine' is registered already"):
            registry.register("mine", maker)
        with pytest.raises(mpc.UnsupportedOperation, match="op is implemented twice"):
            table.implements("op")(kernel)


@pytest.mark.processes
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.parent.name)
def test_a_guide_does_what_it_says(guide, tmp_path, forks):
    found = blocks(guide)
    files = [(name, text) for name, kind, text in found if name is not None]
    commands = "".join(text for _, kind, text in found if kind == "sh")
    printed = "".join(text for _, kind, text in found if kind == "text")
    assert len(files) >= 2
    assert commands
    assert printed
    assert {kind for name, kind, _ in found if name is None} == {"sh", "text"}, "a block of Python that nobody runs"
    for name, text in files:
        (tmp_path / name).write_text(text, "utf-8")
    environ = {**forks.environ, "PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == printed
