"""What is too large to run: counted, its work and its memory, beside what small models really take."""

import pytest
import torch
from torch import nn

import mpc
from mpc.estimating.calibration import Speed, bin_of
from mpc.estimating.memory import LOADED, peak_memory
from mpc.estimating.running import Ranks, alone, count, on_shapes, run_as, split
from mpc.estimating.tally import MAP, OPERANDS, PRODUCT, Kind, Tally
from mpc.estimating.work import TYPICAL, worked
from mpc.offline import StandIn
from parties import SoloParty
from protocols import schedule, tournament
from tests.mpc.estimating.vgg import PLAN, VGG, step

RANKS = Ranks(2)


def vgg_products():
    """Elements of the operands of VGG-16's products, by hand: (inputs, weights, results)."""
    side, before = 224, 3
    for channels in PLAN:
        if not channels:
            side //= 2
            continue
        yield before * side**2, before * channels * 9, channels * side**2
        before = channels
    for before, after in ((512 * 49, 4096), (4096, 4096), (4096, 1000)):
        yield before, before * after, after


@pytest.fixture
def one_size(monkeypatch):
    """Rounds do not depend on sizes: no early rounds to bound memory, no larger groups where there are few rows."""
    tournament._groups.cache_clear()
    monkeypatch.setattr(schedule, "QUEUE_LIMIT", 1 << 60)
    monkeypatch.setattr(tournament, "MATCHES", 0)
    yield
    tournament._groups.cache_clear()


@pytest.mark.usefixtures("one_size")
def test_vgg16_is_counted():
    """138 million weights and ImageNet's size: exact, and as many rounds as a narrow one takes that is really run."""
    batch = 2
    with torch.device("meta"):
        model = VGG()
    assert sum(p.numel() for p in model.parameters()) == 138_357_544
    with mpc.profile() as found:
        plan = mpc.plan(lambda session: step(session, model, batch, 224, 1000))
    products = next(row for row in found.rows(by=("step",)) if row.key == ("products.product",))
    inputs, weights, results = (sum(each) for each in zip(*vgg_products(), strict=True))
    opened = inputs - 3 * 224 * 224 + results  # activations, and gradients of results; the images' owner opens them
    assert products.sent == 8 * batch * opened
    assert products.correlations == 8 * (weights + batch * opened)
    real = {}

    def narrow(session):
        step(session, VGG(1 / 32, hidden=8, classes=1000, side=1), batch, 32, 1000)
        real[session.rank] = session.counts.total("online").rounds

    mpc.simulate(3, narrow)
    assert real[0] == real[1] == plan.rounds


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))


def program():
    torch.manual_seed(0)
    with mpc.session() as session:
        step_one(session)


def step_one(session):
    x = session.share(None, owner=0, shape=(6, 1, 8, 8))
    y = session.share(None, owner=1, shape=(6, 5))
    model = session.share_module(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        session.settle(model.parameters())


def test_shapes_and_numbers():
    """A rank on shapes sends what it sends when it computes, multiplies as much, and holds nearly as much."""
    inputs = count(program, RANKS).inputs
    for rank in (RANKS.dealer, 0):
        real, shapes = Tally(), Tally()
        computes = SoloParty(2, rank=rank)
        with real:
            run_as(program, StandIn(computes, dict(inputs)), lambda: False)
        outlines = SoloParty(2, rank=rank, blank=True)
        on_shapes(program, RANKS, outlines, inputs, shapes, lambda: False)
        assert [act[1:] for act in outlines.acts] == [act[1:] for act in computes.acts]
        for kind in (Kind(PRODUCT), Kind(OPERANDS)):
            assert shapes.sizes[kind] == real.sizes[kind] > 0
        elementwise = [sum(size for kind, size in one.sizes.items() if kind.name == MAP) for one in (shapes, real)]
        assert 0.8 < elementwise[0] / elementwise[1] <= 1
        assert 0.8 < shapes.peak / real.peak < 1.1
        assert shapes.alive < shapes.peak


def test_memory_is_given_back():
    """A tally counts what is alive, each memory once, views not at all."""
    tally = Tally()
    with tally:
        x = torch.ones(1000)
        y = x[10:].view(2, -1)
        assert (tally.alive, tally.peak) == (4000, 4000)
        z = x + 1
        del x
        assert tally.alive == 8000
        del y, z
        assert (tally.alive, tally.peak) == (0, 8000)
    assert peak_memory(0, 0) == LOADED


def test_work_grows_with_size():
    """Seconds are those of the operations' bytes and of their number, and fit a rank's acts."""
    counted = count(program, RANKS)
    slow = Speed(TYPICAL.call, {key: rate / 2 for key, rate in TYPICAL.rates.items()})
    calls = Speed(TYPICAL.call, dict.fromkeys(TYPICAL.rates, float("inf")))
    every = worked(program, RANKS, counted)  # fills tables that later runs find
    assert set(every.scripts) == set(every.tensors) == {0, 1, 2}
    found = [worked(program, RANKS, counted, speed, only=[0]) for speed in (calls, TYPICAL, slow)]
    real = alone(program, RANKS, 0, counted.inputs, lambda done: done == 2).party
    none, once, twice = (sum(act.seconds for act in one.scripts[0]) for one in found)
    assert 0 < none < once < twice
    assert abs((twice - none) - 2 * (once - none)) < 1e-9
    assert [act[1:] for act in split(list(found[0].scripts[0]))[1]] == [act[1:] for act in split(list(real.acts))[1]]


def test_price():
    """A kind without a speed of its own takes the next one's."""
    speed = Speed(1.0, {(Kind(MAP), 0): 10.0, (Kind(MAP), 2): 5.0})
    assert speed.price(Kind(MAP), 0) == 1
    assert speed.price(Kind(MAP), 100) == 11
    assert speed.price(Kind("gather", True), 100) == 11
    assert bin_of(1 << 30) == 2
    assert speed.price(Kind(MAP), 1 << 30) == 1 + (1 << 30) / 5
