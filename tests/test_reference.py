"""The reference: every public name is documented, examples in docstrings do what they say, and the pages are built."""

import doctest
import importlib
import importlib.util
import inspect
import re
import types
from pathlib import Path

import pytest
import torch

import mpc
import mpc.data
import mpc.estimators
import mpc.operations
import parties
import parties.testing
import protocols
import protocols.testing

ROOT = Path(__file__).parent.parent


def _reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "launch_scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()
MODULES = [importlib.import_module(name) for name in (*REFERENCE.PUBLIC, *REFERENCE.BESIDE)]
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES[: len(REFERENCE.PUBLIC)]
    for name in module.__all__
    if name != "__version__"
}


def own_methods(kind):
    """Public functions and properties that a class itself defines."""
    for name, value in vars(kind).items():
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(value, property):
            yield name, value.fget
        elif isinstance(value, classmethod | staticmethod | types.FunctionType):
            yield name, getattr(value, "__func__", value)


def documented(kind, name, function):
    """The docstring of a method; of one that implements an interface, that of the interface; __init__: of the class."""
    places = [vars(each)[name] for each in kind.__mro__ if name in vars(each)]
    texts = [inspect.getdoc(getattr(place, "fget", None) or place) or "" for place in places[:-1] or places]
    if name == "__init__":
        texts += [kind.__doc__ or "" for kind in kind.__mro__]
    return "\n".join(texts)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_module_of_the_reference_says_what_it_is(module):
    assert re.match(r"\S.*[.:]\n?", module.__doc__), module.__name__


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_explained(name):
    """A first sentence; and each argument of a function, or of a class, by its name."""
    public = PUBLIC[name]
    text = inspect.getdoc(public)
    assert text, f"{name} has no docstring"
    assert re.match(r"\S[^\n]*(\n\S[^\n]*)?[.:;](\s|$)", text), f"{name} begins with no sentence"
    if not inspect.isclass(public):
        for argument, kind in inspect.signature(public).parameters.items():
            if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD):
                assert re.search(rf"\b{argument}\b", text), f"{name} does not explain {argument}"
        return
    for method, function in own_methods(public):
        said = documented(public, method, function)
        assert said, f"{name}.{method} has no docstring"


@pytest.fixture
def session():
    with mpc.session(protocol="plain") as one:
        yield one


EXAMPLES = {
    found.name: found
    for place in (*((each.__name__, each) for each in MODULES), *PUBLIC.items(), *(
        (f"{module.__name__}.{name}", value)
        for module in MODULES[len(REFERENCE.PUBLIC) :]
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
        and not any(value is public for public in PUBLIC.values())
    ))
    for found in doctest.DocTestFinder(exclude_empty=True, recurse=inspect.isclass(place[1])).find(
        place[1], place[0], inspect.getmodule(place[1]), globs={}
    )
    if found.examples
}  # fmt: skip


def test_what_a_newcomer_meets_first_has_an_example():
    wanted = "mpc mpc.session mpc.Session.share mpc.simulate mpc.plan mpc.profile mpc.deal mpc.save_weights"
    wanted += " mpc.SharedTensor mpc.Checkpoints mpc.module.share_module mpc.saving.save_module mpc.checkpoints.steps"
    wanted += " parties parties.simulate parties.Generator parties.testing.check_channel"
    wanted += " protocols protocols.Protocol protocols.testing.check_protocol"
    assert set(wanted.split()) <= set(EXAMPLES)
    assert {name for name in PUBLIC if name.startswith(("mpc.estimators.", "mpc.data."))} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(name, session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"mpc": mpc, "parties": parties, "protocols": protocols, "torch": torch, "Path": Path, "session": session}
    example = EXAMPLES[name]
    example.globs = given
    torch.manual_seed(0)
    lines = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=lines.append)
    assert not runner.summarize(verbose=False).failed, "".join(lines)


def test_the_pages_are_built(tmp_path):
    REFERENCE.build(tmp_path)
    pages = {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.html")}
    named = {f"{name.replace('.', '/')}.html" for name in (*REFERENCE.PUBLIC, *REFERENCE.BESIDE)}
    assert pages == named | {"index.html"}
    for name in PUBLIC:
        module, _, member = name.rpartition(".")
        page = (tmp_path / f"{module.replace('.', '/')}.html").read_text("utf-8")
        assert f'<section id="{member}">' in page, name
    for page in sorted(pages):
        text = (tmp_path / page).read_text("utf-8")
        loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*\s(?:src|href)=["']([^"']+)""", text)
        assert not [where for where in loaded if "//" in where and not where.startswith("data:")], page
