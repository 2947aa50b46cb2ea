"""The graph of protocol steps: of training programs, against an oracle; its longest path, what could merge, files."""

import copy
import sys
from contextlib import nullcontext

import networkx as nx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mpc
from experiments.counts.rows import ROWS
from mpc.cli import main
from mpc.estimating.drawing import write
from mpc.estimating.graph import Following, chain, longest_path, rounds_that_could_merge, steps_graph, summary
from mpc.tensor import SharedTensor
from tests.protocols.taint import Taint, check, follow_shared_tensors

torch.manual_seed(0)
MODELS = {
    "logistic": (nn.Linear(5, 3), (8, 5), torch.optim.SGD),
    "mlp": (nn.Sequential(nn.Linear(5, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 3)), (8, 5), torch.optim.Adam),
    "images": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)),
        (4, 1, 6, 6),
        torch.optim.SGD,
    ),
}


def training(name):
    """Returns what sets up a model and returns the steps, each of which reveals its loss."""
    model, shape, kind = MODELS[name]
    steps = 2 if name == "logistic" else 1

    def prepare(session):
        x = session.share(torch.ones(shape) if session.rank == 0 else None, owner=0, shape=shape)
        one_hot = F.one_hot(torch.arange(shape[0]) % 3, 3).float()
        y = session.share(one_hot if session.rank == 1 else None, owner=1, shape=one_hot.shape)
        shared = session.share_module(copy.deepcopy(model), owner=0)
        optimizer = kind(shared.parameters(), lr=0.01)

        def run():
            for _ in range(steps):
                out = shared(x)
                loss = F.cross_entropy(out, y) if name != "logistic" else F.binary_cross_entropy_with_logits(out, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                session.reveal(loss)
            session.reveal_module(shared, to=0)

        return run

    return prepare


def whole(name):
    return lambda session: training(name)(session)()


@pytest.mark.parametrize("name", MODELS)
def test_training_depends_on_what_its_data_do(name, monkeypatch):
    follow_shared_tensors(monkeypatch, SharedTensor)
    for module in ("mpc.revealing", "mpc.session"):  # where work on shares turns off whoever looks at operations
        monkeypatch.setattr(sys.modules[module], "unobserved", nullcontext)

    def program(session):
        run = training(name)(session)
        if session.rank:
            run()
            return None
        taint = Taint(session.protocol.scheduler, SharedTensor)
        with taint:
            run()
        return taint

    taint = mpc.simulate(3, program)[0]
    assert check(taint) > 20


@pytest.mark.parametrize("protocol", ["additive", "replicated"])
@pytest.mark.parametrize("where", ["around", "inside"])
def test_a_real_run_has_the_graph_of_the_dry_run(where, protocol):
    def program(session):
        if where == "around":
            return training("logistic")(session)()
        run = training("logistic")(session)
        with Following() as found:
            run()
        return found

    with Following() if where == "around" else nullcontext() as around:
        results = mpc.simulate(3, program, protocol=protocol)
        real = around or results[0]
        graphs = dict(real.graphs)
        mpc.plan(lambda session: results.append(program(session)), protocol=protocol)
    dry = (around or results[-1]).graphs[0]
    assert len(dry) > 30
    assert dry.graph == graphs[0].graph
    assert dict(dry.nodes(data=True)) == dict(graphs[0].nodes(data=True))
    assert set(dry.edges) == set(graphs[0].edges)


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_has_the_rounds_of_the_plan_and_no_round_is_before_its_data(name):
    graph, plan = steps_graph(whole(name)), mpc.plan(whole(name))
    assert graph.graph["rounds"] == plan.rounds == max(dict(graph.nodes(data="round")).values())
    assert sum(size for n, size in graph.nodes(data="bytes") if graph.nodes[n]["kind"] != "opening") > 0
    assert nx.is_directed_acyclic_graph(graph)
    assert all(graph.nodes[a]["round"] < graph.nodes[b]["round"] for a, b in graph.edges)
    assert graph.graph["longest"] == nx.dag_longest_path_length(graph) + 1 == len(longest_path(graph))
    assert nx.is_path(graph, longest_path(graph))
    merges = rounds_that_could_merge(graph)
    assert len(merges) == graph.graph["rounds"] - graph.graph["longest"]
    assert all(merge.into < merge.round and merge.why for merge in merges)
    assert sum(chain(graph, ("module",)).values()) == graph.graph["longest"]
    with pytest.raises(mpc.ConfigurationError, match="by place; want some of part, module, op, step"):
        chain(graph, ("place",))


@pytest.mark.parametrize("row", ["softmax", "reciprocal", "maxpool", "batch-norm", "mlp", "lenet"])
def test_no_round_of_a_program_that_reveals_nothing_could_be_saved(row):
    graph = steps_graph(lambda session: session.settle(ROWS[row].prepare(session)()))
    assert graph.graph["rounds"] == graph.graph["longest"] > 3
    assert rounds_that_could_merge(graph) == []


def products(session, reveal):
    x, y = session.share(None, 0, shape=(4, 4)), session.share(None, 1, shape=(4, 4))
    z = x @ y
    if reveal:
        session.reveal(z)
    w = (y @ x).relu()
    session.reveal(w)


def test_a_reveal_in_the_middle_costs_rounds_that_could_merge():
    late, early = (steps_graph(lambda session, reveal=reveal: products(session, reveal)) for reveal in (True, False))
    assert early.graph["rounds"] == early.graph["longest"] == late.graph["longest"] == 7
    assert late.graph["rounds"] == 10
    assert [(merge.round, merge.into) for merge in rounds_that_could_merge(late)] == [(5, 2), (6, 3), (7, 4)]
    text = summary(late)
    assert text.startswith("10 rounds; the longest chain of steps needs 7; 3 could be saved.")
    assert "  rounds 5 to 7 (" in text
    assert " with rounds 2 to 4: " in text
    assert "compare.positive was asked for after round 2, which was run for a reveal" in text
    assert "none could be saved" in summary(early)


def computed(p, size):
    return p.linear(p.share(None, torch.Size([size]), p.bits, 0), lambda t: t * 1)


def in_its_step(p, x, y, z):
    """Opens y when x is there, though it could at once."""

    def step():
        part = yield from p.value(x)
        yield from p.masked(y)
        return part

    p.settle(p.make(x.shape, p.bits, step()))


def when_used(p, x, y, z):
    later = p.defer(x.shape, 2 * p.bits, lambda: p.multiply(y, z))
    p.settle(x)
    p.settle(p.rescale(later, p.bits))


def behind_a_reveal(p, x, y, z):
    for _ in range(3):
        y = p.rescale(p.multiply(y, z), p.bits)
    p.reveal(x)
    p.settle(y)


def behind_a_full_queue(p, x, y, z):
    large = [computed(p, 1 << 21) for _ in range(4)]
    p.multiply(*large[:2])
    p.multiply(*large[2:])
    p.settle(p.multiply(y, z))


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (in_its_step, "test_graph.in_its_step waited in its step until round 2, for "),
        (when_used, "steps.masked was computed only when it was used, after round 2; round 1 was run to settle"),
        (behind_a_reveal, "waited while a value was revealed"),
        (behind_a_full_queue, "was asked for after round 1, which was run because so much was waiting"),
    ],
)
def test_what_kept_an_opening_is_said(work, why):
    def program(session):
        p = session.protocol
        x, y, z = (computed(p, 2) for _ in range(3))
        work(p, p.rescale(p.multiply(x, x), p.bits), y, z)

    (merge, *_) = rounds_that_could_merge(steps_graph(program))
    assert why in merge.why[0], merge


PROGRAM = """
import mpc
with mpc.session() as session:
    x = session.share(None, owner=0, shape=(4, 4))
    z = (x @ x).relu()
    session.reveal(x.T @ x)
    session.reveal(z)
"""


def test_the_command(tmp_path, capsys):
    path, picture = tmp_path / "program.py", tmp_path / "graph.svg"
    path.write_text(PROGRAM)
    assert main(["estimate", "--rounds", "--graph", str(picture), str(path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("10 rounds; the longest chain of steps needs 7; 3 could be saved.")
    assert "compare.positive was computed only when it was used, after round 4; round 2 was run for a reveal" in said
    assert said.endswith(f"the graph is in {picture}\n")
    assert picture.exists()
    assert main(["estimate", "--rounds", str(tmp_path / "none.py")]) != 0
    assert "found no program" in capsys.readouterr().err


def test_of_a_job_few_epochs(tmp_path, capsys):
    main(["init", str(tmp_path / "job")])
    assert main(["estimate", "--rounds", "--job", str(tmp_path / "job" / "job.toml")]) == 0
    said = capsys.readouterr().out
    assert "optimizer" in said
    assert "could be saved" in said


def test_files(tmp_path):
    graph = steps_graph(whole("logistic"))
    again = nx.read_graphml(write(graph, tmp_path / "graph.graphml"), node_type=int)
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert set(again.edges) == set(graph.edges)
    dot = write(graph, tmp_path / "graph.dot").read_text("utf-8")
    assert dot.count("[label=") == len(graph)
    assert write(graph, tmp_path / "graph.svg").read_text("utf-8").count("<svg") == 1
    with pytest.raises(mpc.ConfigurationError, match=r"got a graph as graph\.txt"):
        write(graph, tmp_path / "graph.txt")
    with pytest.raises(mpc.ConfigurationError, match="got 401 nodes; a picture takes 400"):
        write(nx.path_graph(401, create_using=nx.DiGraph), tmp_path / "graph.png")


def test_a_session_is_followed_once():
    def program(session):
        with pytest.raises(mpc.ConfigurationError, match="followed already"), Following():
            pass
        x = session.share(None, 0, shape=(2,))
        session.reveal(x * x)

    graph = steps_graph(program)
    assert [graph.nodes[n]["kind"] for n in graph] == ["opening"] * 2 + ["comparison", "reveal"]
    assert [graph.nodes[n]["part"] for n in graph] == ["other", "reveal", "reveal", "reveal"]
