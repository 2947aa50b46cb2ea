"""Views, writes and copies of shared tensors behave as PyTorch's own."""

from __future__ import annotations

import copy

import pytest
import torch

from mpc import UnsupportedOperation
from mpc.tensor import SharedTensor
from tests.conformance.harness import plain_runner, reveal, share


@pytest.fixture
def session():
    return plain_runner(lambda s: s)


def both(session, program, *tensors):
    """Run in plain PyTorch and on shares; returns both results."""
    wanted = program(*(t.clone() for t in tensors))
    got = program(*(share(session, t) for t in tensors))
    return wanted, reveal(got)


X = torch.arange(12.0).reshape(3, 4)

VIEWS = {
    "transpose": lambda x: x.t(),
    "row": lambda x: x[1],
    "column": lambda x: x[:, 2],
    "step": lambda x: x[::2, 1::2],
    "reshape": lambda x: x.view(2, 6),
    "expand": lambda x: x[:, None].expand(3, 5, 4),
    "diagonal": lambda x: x.diagonal(),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "chained": lambda x: x[1:].t()[1:3].unsqueeze(0),
    "strided": lambda x: x.as_strided((2, 2), (5, 1), 1),
    "split": lambda x: x.split(2, 1)[1],
    "view of a slice of a result": lambda x: (x * 1)[1:][None].transpose(0, 2),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_agree(session, name):
    wanted, got = both(session, VIEWS[name], X)
    assert torch.equal(wanted, got)


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in {"expand", "unfold"}])
def test_write_through_a_view_reaches_the_base(session, name):
    def program(x):
        VIEWS[name](x).mul_(2).add_(1)
        return x

    wanted, got = both(session, program, X)
    assert torch.equal(wanted, got)


def test_a_view_sees_later_writes(session):
    x = share(session, X)
    row = x[1]
    assert reveal(row).tolist() == [4, 5, 6, 7]
    x[1, 2] = 50
    x += 1
    assert reveal(row).tolist() == [5, 6, 51, 8]


def test_offset_of_a_public_store_whose_base_is_a_slice(session):
    x = SharedTensor.public(session, X[1:])
    assert reveal(x[1].unsqueeze(0)).tolist() == [[8, 9, 10, 11]]


def test_gradient_through_a_written_view(session):
    def program(x):
        x = x.detach().requires_grad_()
        y = x * 2
        y[0].mul_(3)
        y[:, 1].zero_()
        (y * y).sum().backward()
        return x.grad

    wanted, got = both(session, program, X)
    assert torch.allclose(wanted, got, atol=1e-4)


def test_write_after_save_is_an_error(session):
    x = share(session, X, requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_write_to_a_leaf_that_needs_a_gradient_is_an_error(session):
    x = share(session, X, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.add_(1)


def test_data_is_the_same_store_without_versions(session):
    x = share(session, X, requires_grad=True)
    version = x._version
    x.data.mul_(2)
    assert torch.equal(reveal(x.detach()), X * 2)
    assert x._version == version


def test_setting_data_replaces_the_payload(session):
    p = torch.nn.Parameter(share(session, X))
    p.data = share(session, X + 1)
    assert torch.equal(reveal(p.detach()), X + 1)
    p.data = torch.zeros(2, 2)
    assert p.shape == (2, 2)
    assert not p.is_secret


def test_metadata_writes(session):
    def program(x):
        x.t_()
        x.unsqueeze_(0)
        return x * 1

    wanted, got = both(session, program, X)
    assert torch.equal(wanted, got)


def test_deepcopy_keeps_views_of_one_store_together(session):
    x = share(session, X)
    pair = copy.deepcopy([x, x[0]])
    pair[0].zero_()
    assert reveal(pair[1]).tolist() == [0, 0, 0, 0]
    assert torch.equal(reveal(x), X)


def test_deepcopy_of_a_module_keeps_parameters_and_ties(session):
    model = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
    for layer in model:
        layer.weight = torch.nn.Parameter(share(session, torch.eye(4)))
    model[1].weight = model[0].weight
    twin = copy.deepcopy(model)
    assert isinstance(twin[0].weight, torch.nn.Parameter)
    assert twin[0].weight is twin[1].weight
    with torch.no_grad():
        twin[0].weight.add_(1)
    assert torch.equal(reveal(model[0].weight.detach()), torch.eye(4))


def test_deepcopy_of_a_result_is_refused_as_in_torch(session):
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(share(session, X, requires_grad=True) * 2)


def test_state_dict_round_trip(session):
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    for model in (first, second):
        for name, p in list(model.named_parameters()):
            setattr(model, name, torch.nn.Parameter(share(session, p)))
    second.load_state_dict(first.state_dict())
    assert torch.equal(reveal(first.weight.detach()), reveal(second.weight.detach()))
    with torch.no_grad():
        second.weight.zero_()
    assert bool(reveal(first.weight.detach()).any())


def test_layout_of_results_follows_the_operand(session):
    x = share(session, X).t()
    assert (x * 2).stride() == (X.t() * 2).stride()
    assert torch.relu(x).t().view(-1).shape == (12,)


def test_out_argument_makes_a_public_target_secret(session):
    x = share(session, X)
    out = torch.zeros_like(x)
    assert not out.is_secret
    seen = out[0]
    torch.add(x, 1, out=out)
    assert out.is_secret
    assert seen.is_secret
    assert reveal(seen).tolist() == [1, 2, 3, 4]


def test_fresh_memory_is_zero(session):
    x = share(session, X)
    assert not bool(torch.empty_like(x).public_value.any())
    assert not bool(x.new_empty(100).public_value.any())


def test_resizing_is_refused(session):
    with pytest.raises(UnsupportedOperation, match="resize_"):
        share(session, X).resize_(2, 2)
