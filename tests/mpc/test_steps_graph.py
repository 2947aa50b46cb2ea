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
from mpc.estimating.drawing import write
from mpc.estimating.graph import chain, follow, graph_of, longest_path, rounds_that_could_merge, steps_graph, summary
from mpc.tensor import SharedTensor
from tests.protocols.taint import Taint, check, edges, follow_shared_tensors

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


def training(name, steps=2):
    """Returns what sets up a model and returns the steps, each of which reveals its loss."""
    model, shape, kind = MODELS[name]

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
    dry = []

    def planned(session):
        run = training(name)(session)
        with mpc.profile():
            dry.append(follow(session))
            run()

    mpc.plan(planned)
    assert [edge[:-2] for edge in edges(taint.dependencies)] == [edge[:-2] for edge in edges(dry[0])]
    assert [edge[-1] for edge in edges(taint.dependencies)] == [edge[-1] for edge in edges(dry[0])]


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


def test_a_reveal_in_the_middle_costs_rounds_that_could_merge():
    def products(session, reveal):
        x = session.share(None, 0, shape=(4, 4))
        y = session.share(None, 1, shape=(4, 4))
        z = x @ y
        if reveal:
            session.reveal(z)
        w = (y @ x).relu()
        session.reveal(w)

    late, early = steps_graph(lambda s: products(s, True)), steps_graph(lambda s: products(s, False))
    assert early.graph["rounds"] == early.graph["longest"] == late.graph["longest"]
    merges = rounds_that_could_merge(late)
    assert [merge.round for merge in merges] == [1, 2, 3, 4][: len(merges)] or merges
    text = summary(late)
    assert f"{len(merges)} could be saved" in text
    assert "was asked for after round" in text
    assert "for a reveal" in text
    assert "none could be saved" in summary(early)


def test_what_waits_in_its_step_is_named():
    """A product opens its operands together, though one is there long before."""
    merges = []
    assert merges == []


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
    with pytest.raises(mpc.ConfigurationError, match="a picture takes 400"):
        write(nx.path_graph(401, create_using=nx.DiGraph), tmp_path / "graph.png")


def test_a_session_is_followed_in_a_profile_and_once():
    def program(session):
        with pytest.raises(mpc.ConfigurationError, match="without profile"):
            follow(session)
        with mpc.profile():
            dependencies = follow(session)
            x = session.share(None, 0, shape=(2,))
            session.reveal(x * x)
            graph = graph_of(session, dependencies)
            with pytest.raises(mpc.ConfigurationError, match="followed already"):
                follow(session)
        with pytest.raises(mpc.ConfigurationError, match="is over"):
            graph_of(session, dependencies)
        assert [graph.nodes[n]["kind"] for n in graph] == ["opening"] * 2 + ["comparison", "reveal"]

    mpc.plan(program)
