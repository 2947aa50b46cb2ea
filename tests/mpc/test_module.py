"""Shared modules: weights go in and come out, are compared, saved and loaded."""

import copy
import stat

import pytest
import torch
from torch import nn

import mpc
from mpc.module import named_values
from mpc.saving import share_file


def network(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def close(one, other, atol=2e-6):
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


def test_public_weights_come_back():
    def program(session):
        model = network()
        before = list(model.parameters())
        assert session.share_module(model) is model
        assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
        assert all(isinstance(p, mpc.SharedTensor) and p.requires_grad for p in model.parameters())
        return session.reveal_module(model), session.reveal_module(model, to=1)

    zero, one, dealer = mpc.simulate(3, program)
    close(zero[0], network())
    assert type(zero[0][0].weight) is nn.Parameter
    assert zero[1] is None
    close(one[1], network())
    assert dealer == (None, None)


def test_weights_of_one_owner():
    def program(session):
        model = session.share_module(network(seed=session.rank), owner=1)
        return session.reveal_module(model)

    close(mpc.simulate(3, program)[0], network(seed=1))


def test_tied_and_frozen_weights_stay_so():
    def make():
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model[1].weight = model[0].weight
        model[0].bias.requires_grad_(False)
        return model

    model = make()

    def program(session):
        shared = session.share_module(copy.deepcopy(model))
        assert shared[0].weight is shared[1].weight
        return session.reveal_module(shared)

    plain = mpc.simulate(3, program)[0]
    assert plain[0].weight is plain[1].weight
    assert not plain[0].bias.requires_grad
    assert plain[1].bias.requires_grad
    close(plain, model)


def raised(program):
    def run(session):
        with pytest.raises(mpc.JointfitError) as caught:
            program(session)
        return f"{type(caught.value).__name__}: {caught.value}"

    return mpc.simulate(3, run)


def test_weights_and_architectures_that_differ_raise_everywhere():
    for message in raised(lambda session: session.share_module(network(seed=session.rank))):
        assert message.startswith("DisagreementError")
        assert "hash of the weights" in message
    for message in raised(lambda session: session.share_module(nn.Linear(3, 1 + session.rank // 2), owner=0)):
        assert "architecture" in message
        assert "rank 2" in message
    for message in raised(lambda session: session.share_module(nn.Linear(3, 1), owner=session.rank)):
        assert "owner" in message


def test_bad_modules_raise_everywhere():
    def spoiled(session):
        model = nn.Linear(2, 2)
        if session.rank == 1:
            nn.init.constant_(model.weight, float("nan"))
        session.share_module(model, owner=1)

    assert all("rank 1: weight: got NaN" in message for message in raised(spoiled))
    assert all("without parameters" in message for message in raised(lambda session: session.share_module(nn.ReLU())))
    assert all("float16" in m for m in raised(lambda session: session.share_module(nn.Linear(2, 2).half())))

    def twice(session):
        session.share_module(session.share_module(network()))

    assert all("shared already" in message for message in raised(twice))
    assert all("without shared" in message for message in raised(lambda session: session.reveal_module(network())))


X = torch.randn(16, 3, generator=torch.Generator().manual_seed(2))
Y = (X[:, :1] > 0).float()


def train(model, optimizer, x, y, steps):
    model.train()
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.02),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_resumes_from_saved_shares(tmp_path, kind):
    def tables(session):
        mine = session.rank == 0
        return session.share(X if mine else None, owner=0), session.share(Y if mine else None, owner=0)

    def whole(session):
        x, y = tables(session)
        model = session.share_module(network())
        optimizer = OPTIMIZERS[kind](model.parameters())
        train(model, optimizer, x, y, 3)
        path = session.save_module(model, tmp_path, optimizer)
        train(model, optimizer, x, y, 3)
        return path, session.reveal_module(model)

    def rest(session):
        x, y = tables(session)
        model = network(seed=9)
        optimizer = torch.optim.Adam(model.parameters()) if kind == "adam" else torch.optim.SGD(model.parameters())
        session.load_module(model, tmp_path, optimizer)
        assert optimizer.param_groups[0]["lr"] == (0.02 if kind == "adam" else 0.05)
        train(model, optimizer, x, y, 3)
        return session.reveal_module(model)

    results = mpc.simulate(3, whole)
    assert results[2] == (None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [share_file(tmp_path, rank).name for rank in (0, 1)]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    plain = network()
    train(plain, OPTIMIZERS[kind](plain.parameters()), X, Y, 6)
    close(results[0][1], plain, atol=1e-2)  # Adam magnifies what is lost of small gradients
    resumed = mpc.simulate(3, rest)[0]
    close(resumed, results[0][1], atol=1e-2)


@pytest.fixture
def saved(tmp_path):
    def program(session):
        session.save_module(session.share_module(network()), tmp_path)

    mpc.simulate(3, program)
    return tmp_path


def load(folder, make=network, n=3, **options):
    def program(session):
        with pytest.raises(mpc.JointfitError) as caught:
            session.load_module(make(), folder)
        return str(caught.value)

    return mpc.simulate(n, program, **options)


def test_one_file_alone_shows_nothing(saved):
    from safetensors.torch import load_file

    parts = [load_file(share_file(saved, rank))["module.0.weight"] for rank in (0, 1)]
    want = network()[0].weight.detach()
    torch.testing.assert_close((parts[0] + parts[1]).double() / 2**20, want.double(), atol=1e-6, rtol=0)


def test_loads_what_was_saved(saved):
    def program(session):
        return session.reveal_module(session.load_module(network(seed=3), saved))

    close(mpc.simulate(3, program)[1], network())


def test_damaged_and_foreign_files_are_refused_everywhere(saved, tmp_path):
    path = share_file(saved, 1)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for bad, text in [
        (good[:-8], "damaged"),
        (b"", "damaged"),
        (b"\x80\x04pickle", "damaged"),
        (bytes(flipped), "changed after"),
        (good.replace(b"float32", b"float64"), "changed after"),
        (share_file(saved, 0).read_bytes(), "rank 0; want 1"),
    ]:
        path.write_bytes(bad)
        assert all("rank 1" in message and text in message for message in load(saved)), text
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, path)
    assert all("no file of shares" in message for message in load(saved))
    path.unlink()
    assert all("found no shares-of-rank-1" in message for message in load(saved))


def test_files_of_two_saves_are_not_mixed(saved):
    old = share_file(saved, 1).read_bytes()

    def program(session):
        session.save_module(session.share_module(network()), saved)

    mpc.simulate(3, program)
    share_file(saved, 1).write_bytes(old)
    assert all("one save" in message for message in load(saved))


def test_files_that_do_not_fit_are_refused(saved):
    assert all("parties 2; want 3" in message for message in load(saved, n=4)[:2])
    assert all("bits 20; want 16" in message for message in load(saved, bits=16))
    assert all("module.0.bias" in message for message in load(saved, make=lambda: nn.Sequential(nn.Linear(4, 4))))

    def program(session):
        model = network()
        with pytest.raises(mpc.ConfigurationError, match="holds no optimiser"):
            session.load_module(model, saved, torch.optim.SGD(model.parameters()))

    mpc.simulate(3, program)


def test_plain_weights_are_saved_and_loaded(tmp_path):
    mpc.save_weights(network(), tmp_path / "model.safetensors")
    close(mpc.load_weights(network(seed=4), tmp_path / "model.safetensors"), network())
    with pytest.raises(mpc.ConfigurationError, match="cannot load"):
        mpc.load_weights(nn.Linear(2, 2), tmp_path / "model.safetensors")

    def program(session):
        mpc.save_weights(session.share_module(network()), tmp_path / "x")

    with pytest.raises(mpc.ConfigurationError, match="shared module"):
        mpc.simulate(3, program)


def test_private_inference_for_a_client():
    def program(session):
        model = session.share_module(network(seed=session.rank), owner=0).eval()
        x = session.share(X if session.rank == 1 else None, owner=1)
        with torch.no_grad():
            return session.reveal(model(x), to=1)

    zero, one, dealer = mpc.simulate(3, program)
    assert zero is None
    assert dealer is None
    with torch.no_grad():
        torch.testing.assert_close(one, network(seed=0).eval()(X), atol=1e-3, rtol=0)


def test_named_values_leave_integer_buffers_out():
    assert "1.num_batches_tracked" not in dict(named_values(network()))
    assert "1.running_mean" in dict(named_values(network()))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_modules_train_as_in_plain_pytorch(kind):
    """Torch keeps weak references to their weights, which must not be in the way."""
    x, y = torch.randn(4, 3, 3), torch.randn(4, 1)

    def train(module, x, y):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        for _ in range(2):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(module["head"](module["body"](x)[0][:, -1]), y)
            loss.backward()
            optimizer.step()
        return module

    def make():
        return nn.ModuleDict({"body": kind(3, 4, batch_first=True), "head": nn.Linear(4, 1)})

    plain = make()

    def program(session):
        module = session.share_module(copy.deepcopy(plain))
        a, b = (session.share(part if session.rank == 0 else None, owner=0) for part in (x, y))
        return session.reveal_module(train(module, a, b))

    close(mpc.simulate(3, program)[0], train(plain, x, y), atol=1e-4)
