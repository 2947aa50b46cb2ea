"""Adaptive optimisers: their domain, what a small eps does, one normalisation, and one batch for all parameters."""

import pytest
import torch
from torch import nn

import mpc
from protocols import Additive
from tests.conformance.harness import additive_runner, reveal, share

WAYS = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
OPTIMISERS = {
    "adam": lambda p, **way: torch.optim.Adam(p, lr=0.1, **way),
    "adamw": lambda p, **way: torch.optim.AdamW(p, lr=0.1, **way),
    "amsgrad": lambda p, **way: torch.optim.Adam(p, lr=0.1, amsgrad=True, **way),
    "rmsprop": lambda p, **way: torch.optim.RMSprop(p, lr=0.1, **way),
    "adagrad": lambda p, **way: torch.optim.Adagrad(p, lr=0.1, **way),
    "sgd": lambda p, **way: torch.optim.SGD(p, lr=0.1, momentum=0.9, **way),
}


def train(make, start, gradient, steps):
    """Weights after some steps with gradients that grow."""
    optimiser = make([start])
    for k in range(steps):
        start.grad = gradient * (1 + 0.1 * k)
        optimiser.step()
    return start.detach()


def compared(make, gradient, steps):
    """Steps on shares, as multiples of those in plain PyTorch."""
    zero = torch.zeros(len(gradient))
    wanted = train(make, nn.Parameter(zero.clone()), gradient, steps)
    got = additive_runner(lambda s: reveal(train(make, nn.Parameter(share(s, zero)), share(s, gradient), steps)))
    return got / wanted


@pytest.mark.parametrize("steps", [1, 8])
@pytest.mark.parametrize("name", ["adam", "adamw", "amsgrad", "rmsprop", "adagrad"])
def test_agrees_for_gradients_from_a_ten_thousandth_to_a_hundred(name, steps):
    most = 30.0 if name == "adagrad" else 70.0  # its sum of eight growing squares must stay below 2^14
    size = torch.tensor([1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, most])
    for gradient in (size, -size):
        gap = (compared(OPTIMISERS[name], gradient, steps) - 1).abs()
        assert bool((gap < 3e-3 + 2e-5 / size).all()), gap


def test_beyond_the_domain_steps_get_larger_and_nothing_wraps():
    size = torch.tensor([100.0, 200.0, 500.0, 1000.0])
    ratio = compared(OPTIMISERS["adagrad"], size, 1)
    assert torch.allclose(ratio, (size / 128).clamp(min=1), rtol=1e-3)


def test_tiny_gradients_never_make_large_steps():
    size = torch.tensor([0.0, 1e-6, 2e-6, 5e-6, 1e-5])
    zero = torch.zeros(len(size))
    run = additive_runner
    got = run(lambda s: reveal(train(OPTIMISERS["adam"], nn.Parameter(share(s, zero)), share(s, size), 8)))
    assert float(got[0]) == 0
    assert bool((got.abs() < 2 * 8 * 0.1).all())


@pytest.mark.parametrize("eps", [1e-8, 2e-7, 1e-5, 1e-3])
def test_eps_counts(eps):
    """From one unit (2^-20) on as in PyTorch; below, steps are right where gradients are larger than it."""
    size = torch.tensor([1e-4, 1e-3, 1e-2])
    ratio = compared(lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9, eps=eps), size, 5)
    assert bool(((ratio - 1).abs() < 3e-3 + 2e-5 / size).all()), ratio


@pytest.fixture
def normalised(monkeypatch):
    """Names of the functions by normalisation that were computed."""
    names = []
    scaled = Additive.scaled
    monkeypatch.setattr(Additive, "scaled", lambda self, x, name: names.append(name) or scaled(self, x, name))
    return names


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_one_normalisation_unless_eps_must_count(normalised, way, eps):
    def program(session):
        weights = [nn.Parameter(session.share(None, owner=1, shape=shape)) for shape in ((3, 4), (4,), (2, 2))]
        optimiser = torch.optim.Adam(weights, lr=0.1, eps=eps, **WAYS[way])
        for weight in weights:
            weight.grad = session.share(None, owner=1, shape=weight.shape)
        optimiser.step()
        session.settle(weights)

    mpc.plan(program)
    once = ["rsqrt"] if eps < 2**-20 else ["reciprocal", "sqrt"]
    assert sorted(normalised) == sorted(once * (3 if way == "single" else 1))


def test_a_division_by_a_deviation_takes_one_normalisation(normalised):
    def program(session):
        x = session.share(None, owner=1, shape=(20, 3))
        session.settle([(x - x.mean(0)) / (x.std(0) * 2 + 1e-8)])

    mpc.plan(program)
    assert normalised == ["rsqrt"]


def test_a_root_that_waited_can_be_used():
    x = torch.tensor([0.25, 2.0, 9.0, 400.0])

    def program(session):
        root = share(session, x).sqrt()
        scaled = root * 0.5 + 1e-7
        return [reveal(v) for v in (1 / scaled, scaled, root + root, x / root, root.reshape(2, 2), -root, root * -2.0)]

    got = additive_runner(program)
    half = x.sqrt() / 2
    wanted = [1 / half, half, 4 * half, 2 * half, x.sqrt().reshape(2, 2), -x.sqrt(), -2 * x.sqrt()]
    for w, g in zip(wanted, got, strict=True):
        assert torch.allclose(w, g, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "amsgrad"])
def test_a_batch_sends_what_the_loop_sends(name):
    def step(way):
        def program(session):
            x = session.share(None, owner=1, shape=(8, 5))
            y = session.share(None, owner=1, shape=(8, 1))
            model = session.share_module(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Linear(3, 1)))
            optimiser = OPTIMISERS[name](model.parameters(), **WAYS[way])
            for _ in range(3):
                optimiser.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimiser.step()
            session.settle(model.parameters())

        plan = mpc.plan(program)
        return plan.bytes, plan.rounds

    loop = step("single")
    for way in ("foreach", "fused"):
        sent = step(way)
        assert sent[1] == loop[1]
        assert sent[0] <= loop[0] + 3 * 8  # the last bias, whose gradient has 42 fraction bits, in three steps


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_planned_and_sent(name, way):
    def program(session):
        x = session.share(torch.ones(6, 5) if session.rank == 0 else None, owner=0, shape=(6, 5))
        model = session.share_module(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1)))
        optimiser = OPTIMISERS[name](model.parameters(), **WAYS[way])
        for _ in range(3):
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()
        session.settle(model.parameters())
        sent = session.counts.total("online")
        return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes

    plan = mpc.plan(program)
    assert mpc.simulate(3, program)[0] == (plan.bytes, plan.rounds, plan.offline)


def test_second_moments_keep_their_bits_through_a_file(tmp_path):
    def model_of():
        return nn.Linear(2, 1, bias=False)

    def program(session):
        model = session.share_module(model_of(), owner=0)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        model.weight.grad = session.share(torch.tensor([[1e-3, -2e-4]]) if session.rank == 0 else None, owner=0)
        optimiser.step()
        session.save_module(model, tmp_path, optimiser)
        again = model_of()
        other = torch.optim.Adam(again.parameters())
        session.load_module(again, tmp_path, other)
        again.weight.grad = model.weight.grad
        before = again.weight.detach().clone()
        other.step()
        return session.reveal(again.weight.detach() - before)

    step = mpc.simulate(3, program)[0]
    assert torch.allclose(step, torch.tensor([[-0.1, 0.1]]), atol=5e-3)
