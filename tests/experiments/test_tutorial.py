"""The tutorial notebook runs without a warning, and shows what is stored in it."""

import copy
import re

import nbformat
import pytest

from experiments.tutorial.__main__ import PATH, execute

WARN = "import warnings; warnings.simplefilter('error'); warnings.filterwarnings('ignore', module='ipykernel')"


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """What is to be seen: texts of standard output, and results by kind."""
    return [each.get("text") or dict(each["data"]) for each in cell.outputs]


def text(cell):
    return "".join(each["text"] for each in cell.outputs if each.output_type == "stream")


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_runs_and_shows_what_is_stored(tmp_path, forks):
    stored = nbformat.read(PATH, as_version=4)
    fresh = copy.deepcopy(stored)
    for cell in code(fresh):
        cell.outputs = []
    fresh.cells.insert(0, nbformat.v4.new_code_cell(f"{WARN}; import sys; sys.executable = {str(forks.python)!r}"))
    execute(fresh, tmp_path)
    del fresh.cells[0]
    assert len(code(fresh)) > 10
    for before, now in zip(code(stored), code(fresh), strict=True):
        assert not [each for each in now.outputs if each.get("name") == "stderr"], now.source
        if "varies" not in now.metadata.get("tags", ()):
            assert shown(now) == shown(before), f"python -m experiments.tutorial stores this anew: {now.source}"
    said = "\n".join(map(text, code(fresh)))
    plain, joint = re.search(r"accuracy: plain ([\d.]+), joint ([\d.]+)", said).groups()
    assert plain == joint
    assert float(joint) > 0.95
    held = [re.search(r"hospital A holds (-?\d+)", "".join(map(text, code(each))))[1] for each in (stored, fresh)]
    assert held[0] != held[1], "the same share twice"
    total, measurement = re.search(r"divided by 2\^20: ([\d.]+)\nthe measurement itself: ([\d.]+)", said).groups()
    assert abs(float(total) - float(measurement)) <= 2**-20
    planned, measured = re.findall(r"(?:planned|measured): +([\d,]+ rounds, [\d,]+ bytes)", said)
    assert planned == measured


def test_it_is_stored_as_it_ran_in_order():
    cells = code(nbformat.read(PATH, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    tables = [each["text/html"] for cell in cells for each in shown(cell) if isinstance(each, dict)]
    for text in ("SharedTensor, secret", "Session, protocol additive", "backward", "round trips"):
        assert any(text in each for each in tables), text
