"""Shares on a device: everything that protocols do, on a device that fails wherever CUDA would."""

import pytest
import torch

from parties import ConfigurationError, Role, simulate
from parties.prg import Generator
from protocols import Additive, limbs, memory, testing
from protocols.cases import CASES
from protocols.costs import COSTS
from protocols.memory import Memory
from tests import pretend
from tests.pretend import DEVICE, Pretend

BY_NAME = {case.name: case for case in CASES}


@pytest.fixture
def device(monkeypatch):
    return pretend.install(monkeypatch)


def on(device):
    return lambda party, **options: Additive(party, device=device, **options)


def mixed(device):
    """Rank 0 and the dealer on the device, the others on the host."""

    def make(party, **options):
        there = party.rank == 0 or party.role is Role.DEALER
        return Additive(party, device=device if there else "cpu", **options)

    return make


@pytest.mark.parametrize("name", BY_NAME)
def test_every_operation(device, name):
    n = 120
    values = testing.operands(BY_NAME[name], 1000, 0)
    values = [v if name in {"gram matrix", "convolution"} else v[:n] for v in values]
    want = testing.reference(BY_NAME[name], values)
    outcome = testing.run(on(device), 2, BY_NAME[name], values)
    for got in outcome.ranks[:2]:
        assert got.device.type == "cpu"  # what is revealed is the user's
        assert got.dtype == want.dtype
        error = (got.double() - want.double()).abs()
        assert bool((error <= BY_NAME[name].absolute + BY_NAME[name].relative * want.double().abs()).all())
    assert outcome.cost == testing.run(Additive, 2, BY_NAME[name], values).cost


@pytest.mark.parametrize("name", ["exp", "sigmoid", "sqrt", "relu", "convolution", "sort"])
@pytest.mark.parametrize("parties", [2, 3])
def test_ranks_on_different_devices(device, name, parties):
    testing.check_values(mixed(device), parties, BY_NAME[name])


@pytest.mark.parametrize("make", [on, mixed])
def test_inputs_of_clients(make, device):
    testing.check_clients(make(device), COSTS, (2,), [BY_NAME["multiply and rescale"], BY_NAME["both"]])


def test_parts_masks_and_openings_are_on_the_device(device):
    seen = {}

    def program(party):
        p = Additive(party, device=device)
        x = p.share(torch.arange(50) if party.rank == 0 else None, torch.Size([50]), 20, 0)
        b = p.share_bits(torch.arange(50) > 7 if party.rank == 1 else None, torch.Size([50]), 1)
        c = p.constant(torch.arange(50), 20)
        y = p.add_constant(p.multiply(p.gate(b, x), c), torch.arange(50), 3)
        z = p.restore(p.export(p.rescale(y, 20)), torch.Size([50]), 20)
        p.settle(x, b, c, y, z)
        kinds = [type(t.data) for t in (x, b, c, y, z)] + [type(x.clean.public), type(x.clean.mask.share)]
        seen[party.rank] = kinds, type(x.clean.mask.secret), p.export(x)
        return p.reveal(z)

    values = simulate(3, program)
    i = torch.arange(50).double()
    want = (i > 7) * i**2 * 2.0**-40 + i / 8
    for rank in (0, 1):
        assert set(seen[rank][0]) == {Pretend}
        assert type(seen[rank][2]) is torch.Tensor
        assert float((values[rank].double() * 2.0**-20 - want).abs().max()) <= 2.0**-20
    assert set(seen[2][0]) == {torch.Tensor}  # meta
    assert seen[2][1] is Pretend


@pytest.mark.parametrize("size", [1, 7, 63, 64, 65, 128, 129, 1000])
def test_random_bytes_on_the_device_are_those_of_the_host(monkeypatch, size):
    """With copies that happen as late as they may, from two buffers that are written again and again."""
    pretend.install(monkeypatch, stage=64)
    here, there = Memory(), Memory("pretend")
    mine, same = Generator(bytes(16)), Generator(bytes(16))
    drawn = [there.uniform((size,), mine, torch.uint8) for _ in range(3)]
    drawn.append(there.uniform((), mine))
    drawn.append(there.uniform((size, 2), mine))
    assert {type(x) for x in drawn} == {Pretend}
    for x in drawn:
        want = here.uniform(x.shape, same, x.dtype)
        assert torch.equal(x.cpu(), want)
    assert mine.position == same.position
    assert there.uniform((0, 3), mine).shape == (0, 3)


def test_a_buffer_written_too_early_would_be_seen(monkeypatch):
    """The test above can fail: without waiting for the copy, bytes are lost."""
    pretend.install(monkeypatch, stage=64)
    monkeypatch.setattr(pretend.Event, "synchronize", lambda self: None)
    x = Memory("pretend").uniform((1000,), Generator(bytes(16)), torch.uint8)
    assert not torch.equal(x.cpu(), Memory().uniform((1000,), Generator(bytes(16)), torch.uint8))


def test_the_device_is_as_strict_as_cuda(device):
    x = Memory(device).uniform((4, 4), Generator(bytes(16)))
    for wrong in (lambda: x + torch.ones(4, 4), lambda: x @ x, lambda: torch.cat([x, torch.zeros(4, 4).long()])):
        with pytest.raises(RuntimeError):
            wrong()
    with pytest.raises(RuntimeError):
        x.numpy()
    assert torch.equal(x * torch.tensor(3), 3 * x)
    assert torch.equal(x[:, torch.tensor([0, 3])], x[:, ::3])


def test_products_on_the_device(device, monkeypatch):
    torch.manual_seed(0)
    a, b = torch.randint(-(2**63), 2**63 - 1, (70, 40)), torch.randint(-(2**63), 2**63 - 1, (40, 9))
    want = a @ b
    for kernel in (limbs.FLOAT, limbs.INT8):
        assert torch.equal(kernel.matmul(a.to(DEVICE), b.to(DEVICE)).cpu(), want)
    monkeypatch.setattr(limbs, "SMALL_ON_CUDA", 0)
    monkeypatch.setattr(limbs, "fastest", lambda where: "int8" if where == DEVICE else "none")
    assert torch.equal(limbs.matmul(a.to(DEVICE), b.to(DEVICE)).cpu(), want)


def test_messages_cross_once_in_each_direction(device):
    """Two copies to the host, the message and the opened values for the transcript, and one from every peer, whatever
    the number of openings in the round."""

    def program(party):
        p = Additive(party, device=device)
        across = []
        to_host, from_host = p.memory.to_host, p.memory.from_host
        p.memory.to_host = lambda x: across.append("out") or to_host(x)
        p.memory.from_host = lambda x: across.append("in") or from_host(x)
        shares = [p.share(torch.arange(9) if party.rank == 0 else None, torch.Size([9]), 20, 0) for _ in range(8)]
        p.settle(*(p.structural(p.rescale(x, 10), lambda t: t + 0) for x in shares))
        return across.count("out"), across.count("in")

    counts = simulate(4, program)
    assert counts[0] == counts[1] == (2, 2)
    assert counts[2] == (2, 2 + 2 * 8)  # and what the dealer sends: two words for every rescaling


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", "finds no CUDA device"),
        ("cuda:1", "finds no CUDA device"),
        ("meta", "shares live on"),
        ("gpu", "want 'cpu', 'cuda' or 'cuda:1'"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, name, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match=message):
        Memory(name)


def test_numbers_of_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert memory.find("cuda") == torch.device("cuda", 1)
    assert memory.find("cuda:0") == torch.device("cuda", 0)
    assert memory.find("cpu:0") == torch.device("cpu")
    with pytest.raises(ConfigurationError, match="this machine has 2"):
        memory.find("cuda:2")
