"""The rules of the house: imports point one way, nothing forbidden is used, READMEs list every file."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["parties", "protocols", "mpc", "experiments"]
SOURCES = [path for package in ORDER for path in (ROOT / package).rglob("*.py")]
LONGEST = 420


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    later = ORDER[ORDER.index(package) + 1 :]
    for name, line in imported(path):
        assert name.split(".")[0] not in later, f"{path}:{line} imports {name}"
        if package == "parties":
            assert name.split(".")[0] != "torch", f"{path}:{line}: parties knows bytes and no tensors"
        if package == "protocols":
            assert not name.startswith("torch.nn"), f"{path}:{line}: protocols knows no modules"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_forbidden(path):
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    names = {name.split(".")[0] for name, _ in imported(path)}
    assert not names & {"pickle", "cloudpickle", "dill", "marshal", "shelve"}, "no pickle on the wire or on disk"
    assert "torch.load(" not in text
    assert "torch.save(" not in text
    if path.parts[-2] != "testing" and "experiments" not in path.parts and path.name != "testing.py":
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), "validation raises, it does not assert"
    if "parties" in path.parts or ("protocols" in path.parts and path.name != "testing.py"):
        assert "random" not in names
        assert not re.search(
            r"torch\.(rand|randn|randint|randperm|Generator|bernoulli)\b|np\.random|numpy\.random", text
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("package", ORDER)
def test_readme_lists_every_file(package):
    readme = (ROOT / package / "README.md").read_text("utf-8")
    for path in (ROOT / package).rglob("*.py"):
        inside = path.relative_to(ROOT / package)
        if path.name in {"__init__.py", "__main__.py"}:
            continue
        assert path.name in readme or str(inside) in readme, f"{package}/README.md does not mention {inside}"


def test_the_cost_table_is_the_declared_one():
    from protocols.costs import table

    assert table() in (ROOT / "protocols" / "README.md").read_text("utf-8")


PROTOCOLS = {
    "additive": ("additive.py", "clients.py", "revealing.py"),
    "replicated": ("replicated.py", "groups"),
    "verified": ("verified.py", "proofs"),
    "authenticated": ("authenticated.py", "macs"),
}
"""Files of each protocol; what several use names none of them."""


@pytest.mark.parametrize("own", [*PROTOCOLS, "what several use"])
def test_no_file_of_a_protocol_knows_another(own):
    folder = ROOT / "protocols"
    owners = {folder / file: name for name, files in PROTOCOLS.items() for file in files}
    modules = {f"protocols.{path.stem}": name for path, name in owners.items()}

    def owner(path):
        return owners.get(path) or owners.get(path.parent) or "what several use"

    beside = {"__init__.py", "costs.py", "schemes.py", "testing.py"}  # what registers, declares and compares them
    files = [path for path in folder.rglob("*.py") if owner(path) == own and path.name not in beside]
    assert files
    for path in files:
        tree = ast.parse(path.read_text("utf-8"))
        typed = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
        skipped = {id(node) for branch in typed for node in ast.walk(branch)} if own == "what several use" else set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    found = next((o for m, o in modules.items() if name == m or name.startswith(f"{m}.")), own)
                    assert found == own, f"{path} imports {name}"


def test_the_schemes_are_those_of_the_declared_costs():
    from protocols.schemes import table

    assert table() in (ROOT / "protocols" / "README.md").read_text("utf-8")


def test_nothing_reads_outside_the_project():
    scripts = [path for path in (ROOT / "launch_scripts").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py"), *scripts]:
        assert "../" + "shared" not in path.read_text("utf-8"), path


def test_data_files_are_packaged():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["*"]
    for package in ORDER[:3]:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                assert path.name in declared, f"{path} would be missing from an installed package"


def test_the_public_names_of_mpc_stand_in_three_equal_lists():
    """For types, for `from mpc import *`, and for what is loaded at first use."""
    tree = ast.parse((ROOT / "mpc/__init__.py").read_text("utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = {alias.name: node.module for node in typed.body for alias in node.names}
    lists = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)
             and isinstance(node.targets[0], ast.Name)}  # fmt: skip
    assert imports == lists["_WHERE"]
    assert sorted(imports) == sorted(lists["__all__"])
