"""Ranks that would compute with different public numbers are told so, before anything is revealed."""

import pytest
import torch

import mpc
from parties import DisagreementError

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def scalar(x, odd):
    return x * (0.1 if odd else 0.01)


def rows(x, odd):
    return x[torch.tensor([0, 2] if odd else [0, 1])] * x[:2]


def mask(x, odd):
    return x.masked_fill(torch.eye(6, 3) == (1.0 if odd else 0.0), 2.0) * x


def operation(x, odd):
    return torch.sigmoid(x) if odd else torch.tanh(x)


def weight(x, odd):
    return x @ torch.full((3, 2), 1.0 if odd else 1.5)


@pytest.mark.parametrize("odd", [0, 1, 2])
@pytest.mark.parametrize("what", [scalar, rows, mask, operation, weight])
def test_different_public_operands_are_refused(what, odd):
    revealed = []

    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0)
        y = what(x, session.rank == odd) * x.sum()
        revealed.append(session.reveal(y, to=[0, 1]))

    with pytest.raises(DisagreementError, match="different programs"):
        mpc.simulate(3, program)
    assert not [r for r in revealed if r is not None]
