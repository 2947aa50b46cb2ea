"""Every cell of the fault matrix; see table.py and README.md."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.faults.harm import CLOSE, WEIGHTS, run_cell
from tests.faults.members import NAMES, TRIO, Case
from tests.faults.table import AUTHENTICATED, FAULTS, MATRICES, PHASES, Absent, as_text, cells, outcome_of, present

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault, tmp_path, zygote, identities):
    """All cells of a row at once: most of their time is waiting."""
    row = [cell for cell in present(FAULTS) if cell[0] == fault]
    with ThreadPoolExecutor(len(row)) as pool:
        wrong = list(pool.map(lambda cell: run_cell(tmp_path / "-".join(cell[1:]), zygote, identities, cell), row))
    assert not any(wrong), "\n\n".join(each for cell in wrong for each in cell)


AMONG_THREE = [*((fault, "replicated") for fault in ("kill", "stop", "cut", "cut briefly")), ("kill", "verified")]


@pytest.mark.parametrize(("fault", "protocol"), AMONG_THREE)
def test_fault_among_three_parties_without_a_dealer(fault, protocol, tmp_path, zygote, identities):
    """In the middle of training, with each of them."""
    victims = TRIO if fault != "cut briefly" else TRIO[2:]
    with ThreadPoolExecutor(len(victims)) as pool:
        ended = [
            pool.submit(run_cell, tmp_path / name, zygote, identities, (fault, "training", name), protocol)
            for name in victims
        ]
    wrong = [each.result() for each in ended]
    assert not any(wrong), "\n\n".join(each for cell in wrong for each in cell)


def test_faults_under_authenticated(tmp_path, zygote, identities):
    """All cells at once: one after the other they would wait for minutes."""
    these = present(AUTHENTICATED)
    with ThreadPoolExecutor(len(these)) as pool:
        ended = [
            pool.submit(run_cell, tmp_path / "-".join(cell), zygote, identities, cell, "authenticated")
            for cell in these
        ]
    wrong = [each.result() for each in ended]
    assert not any(wrong), "\n\n".join(each for cell in wrong for each in cell)


def test_undisturbed(tmp_path, zygote, identities):
    with Case(tmp_path / "case", zygote, identities) as case:
        for name in NAMES:
            case.start(name)
        for phase in PHASES[1:]:
            case.all_reach(phase)
            for name in NAMES:
                case.children[name].go()
        assert [case.children[name].wait(20) for name in NAMES] == [0, 0, 0], case.said()
        for name in NAMES[:2]:
            assert case.weights(name) == pytest.approx(WEIGHTS, abs=CLOSE)
            assert [entry["event"] for entry in case.reveals(name)] == ["intent", "done"]
        assert [entry["event"] for entry in case.reveals("dealer")] == ["intent"]


def test_the_right_weights_are_those_of_plain_pytorch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 3, generator=generator)
    y = (x @ torch.tensor([[1.0], [-2.0], [0.5]]) > 0).float()
    torch.manual_seed(7)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for step in range(6):
        rows = torch.arange(step * 8 % 24, step * 8 % 24 + 8)
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows]).backward()
        optimizer.step()
    weights = [*model.weight.detach().reshape(-1).tolist(), *model.bias.tolist()]
    assert weights == pytest.approx(WEIGHTS, abs=1e-4)


def test_the_tables_are_whole():
    for faults in MATRICES.values():
        assert len(cells(faults)) == len(faults) * 8
        for cell in cells(faults):
            outcome = outcome_of(faults, cell)
            assert not isinstance(outcome, Absent) or len(outcome.why) > 10
        text = Path(__file__).with_name("README.md").read_text()
        assert as_text(faults) in text, "python -m tests.faults.table prints it"
