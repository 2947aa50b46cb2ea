"""What counts for what: modules, forward and backward, operations, protocol steps."""

import torch
from torch import nn

import mpc
from tests.mpc.profiling.programs import X, Y, decomposed, double, given, sequential, small, two_models


def found(p, *by, part=None):
    return {row.key if len(by) > 1 else row.key[0]: row for row in p.rows(by, part=part)}


def test_a_small_network_by_hand():
    """x (6, 4) is rank 0's, the weights are rank 1's; elements of 8 bytes; each opens what it owns."""

    def program(session):
        x = given(session, X, 0)
        model = session.share_module(small(), owner=1)
        with mpc.profile() as p:
            y = model(x)
            session.settle([y])
        with mpc.profile() as back:
            y.sum().backward()
            session.settle(each.grad for each in model.parameters())
        return p, back

    p, back = mpc.simulate(3, program)[0]
    rows = found(p, "module", "op")
    first, relu, last = rows["0", "aten.addmm"], rows["1", "aten.relu"], rows["2", "aten.addmm"]
    assert (first.sent, first.received, first.rounds) == (6 * 4 * 8, 3 * 4 * 8, 1)  # x, and the weights
    assert first.correlations == 6 * 3 * 8  # the product of their masks
    hidden = 6 * 3 * 8
    assert (last.sent, last.received) == (hidden, hidden + 2 * 3 * 8)  # the hidden layer, and the weights
    assert last.correlations == 6 * 2 * 8
    assert relu.sent == relu.received == hidden + 23 * 3 + 3  # a cut, 23 planes of comparison, the bit: of 18 bits each
    assert sum(row.sent for row in rows.values()) == first.sent + relu.sent + last.sent
    steps = found(p, "module", "step")
    assert steps["1", "compare.positive"].sent + steps["1", "gates.node"].sent == hidden + 23 * 3
    assert steps["1", "products._gate"].sent == 3
    assert [rows[place, ""].calls for place in ("0", "1", "2", "(Sequential)")] == [1, 1, 1, 1]

    assert set(found(back, "part")) == {"backward", "forward", "other"}  # a sum outside modules, and settle
    modules = found(back, "module", part="backward")
    assert modules["0"].sent == hidden  # its output's gradient; the input is open
    assert modules["1"].sent == modules["1"].received == hidden  # the last layer's gradient times 0 or 1
    assert modules["2"].sent == 0  # ones are public, and the hidden layer is open
    assert found(p, "part")["forward"].sent == p.total().sent


def test_parts_of_a_run():
    with mpc.profile() as p:
        mpc.simulate(3, sequential)
    parts = found(p, "part")
    assert set(parts) == {"setup", "share", "forward", "backward", "optimizer", "reveal", "other"}
    assert all(parts[name].sent > 0 for name in ("setup", "share", "forward", "backward", "optimizer", "reveal"))
    assert parts["other"].sent == 0
    assert [parts[name].calls for name in ("share", "optimizer", "reveal", "backward")] == [3, 2, 2, 2]
    operations = found(p, "part", "op")
    assert operations["forward", "aten.mse_loss"].sent > 0  # lazily computed, and outside modules
    assert operations["backward", "aten.mm"].calls == 6
    assert found(p, "module")["(Sequential)"].calls == 2
    assert p.total(2).rounds < p.total(0).rounds


def test_modules_that_autograd_hides():
    with mpc.profile() as p:
        mpc.simulate(3, two_models)
    modules = found(p, "module", "part")
    operations = found(p, "module", "part", "op")
    first, second = "(Encoder)", "(Sequential)"
    assert operations[first, "forward", "aten.mul"].calls == 1  # of a custom function
    assert operations[first, "backward", "aten.mul"].calls == 2
    assert operations["a", "backward", "aten.mm"].sent > 0
    assert modules["b", "backward"].calls == 1  # a checkpointed module is called once more
    assert operations["b", "backward", "aten.mm"].calls == 2
    assert operations[f"{second}.0", "backward", "aten.tanh_backward"].calls == 1
    assert operations[f"{second}.1", "backward", "aten.mm"].calls == 2
    assert {module for module, _ in modules} == {"", first, "a", "b", second, f"{second}.0", f"{second}.1"}


def test_a_backward_pass_of_a_backward_pass():
    with mpc.profile() as p:
        mpc.simulate(3, double)
    operations = found(p, "module", "op", part="backward")
    assert operations["1", "aten.tanh_backward"].calls >= 2
    assert operations["0", "aten.mm"].calls >= 3
    assert found(p, "part")["backward"].calls == 2


def test_operations_within_operations_count_for_the_outer_one():
    with mpc.profile() as p:
        mpc.simulate(3, decomposed)
    names = set(found(p, "op"))
    assert "aten.addcdiv" in names
    assert not any(name in names for name in ("aten.div", "aten.var_mean"))


def test_names_of_several_models():
    shared = nn.Linear(4, 4)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleDict({"left": shared, "right": shared})
            self.hidden = [nn.Linear(4, 4)]  # unknown to PyTorch

        def forward(self, x):
            return self.hidden[0](self.inner["right"](self.inner["left"](x)))

    def program(session):
        x = given(session, X, 0)
        with mpc.profile() as p:
            outer = Outer()
            outer(x)
            outer.inner["left"](x)
            nn.Sequential(nn.Identity())(x)
            nn.Sequential(nn.Identity())(x)
            nn.MSELoss()(x, x)
        return p

    with mpc.session("plain") as session:
        p = program(session)
    calls = {key: row.calls for key, row in found(p, "module").items() if row.calls}
    assert calls == {
        "(Outer)": 1,
        "inner.left": 3,
        "(Outer).(Linear)": 1,
        "(Sequential)": 1,
        "(Sequential).0": 1,
        "(Sequential 2)": 1,
        "(Sequential 2).0": 1,
        "(MSELoss)": 1,
    }


def test_an_optimiser_that_calls_the_model():
    def program(session):
        x, y = given(session, X, 0), given(session, Y, 1)
        model = session.share_module(nn.Linear(4, 2), owner=0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        with mpc.profile() as p:
            optimizer.step(closure)
            session.settle(model.parameters())
        return p

    parts = found(mpc.simulate(3, program)[0], "part", "module")
    assert parts["forward", "(Linear)"].sent > 0
    assert parts["backward", "(Linear)"].sent > 0
    assert parts["optimizer", ""].calls == 1
