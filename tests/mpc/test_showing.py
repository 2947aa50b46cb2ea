"""What a notebook shows of shared tensors and sessions."""

from xml.etree import ElementTree as ET

import pytest
import torch

import mpc

SECRET = torch.tensor([[12.25, -3.5], [0.125, 700.0]])


def cells(text):
    return [[cell.text or "" for cell in row] for row in ET.fromstring(f"<div>{text}</div>").iter("tr")]


def program(session):
    x = session.share(SECRET if session.rank == 0 else None, owner=0)
    model = session.share_module(torch.nn.Linear(2, 1))
    waiting = torch.nn.functional.binary_cross_entropy_with_logits(model(x), torch.ones(2, 1))
    public = mpc.SharedTensor.public(session, torch.tensor([41.0]))
    before = session.counts.snapshot()
    shown = [each._repr_html_() for each in (x, model.weight, waiting, public)]
    assert session.counts == before, "a look at a value that waits computes nothing"
    session.reveal(x.sum(), to=1)
    return x, session, shown


@pytest.mark.parametrize(("ranks", "clients"), [(3, 0), (4, 1)])
def test_tables_of_a_session_that_is_over(ranks, clients):
    for rank, (x, session, shown) in enumerate(mpc.simulate(ranks, program, clients=clients)):
        assert x._repr_html_() == shown[0]
        rows = dict(cells(shown[0]))
        assert rows["shape"] == "(2, 2)"
        assert rows["protocol"] == "additive, 20 fraction bits"
        assert rows["rank 1 holds"].startswith("one share: 4 random numbers")
        assert rows[f"rank {ranks - 1}, a dealer, holds"] == "nothing"
        assert ("rank 2, a client, holds" in rows) == bool(clients)
        assert dict(cells(shown[1]))["requires_grad"] == "True"
        assert dict(cells(shown[2]))["shape"] == "()"
        assert dict(cells(shown[3]))["every rank holds"] == "the value itself: it is public"
        table = cells(session._repr_html_())
        assert [str(rank), session.role.value, "this one"] in table
        each = session.counts.total("online")
        numbers = (each.bytes_sent, each.bytes_received, each.messages, each.rounds)
        assert ["online", *(f"{number:,}" for number in numbers)] in table
        assert [session.reveals[-1]] in table
        for text in (*shown, session._repr_html_()):
            assert not any(value in text for value in ("12.25", "3.5", "0.125", "700", "41"))


def test_what_parties_hold_says_the_protocol():
    for _, session, shown in mpc.simulate(3, program, protocol="replicated"):
        rows = dict(cells(shown[0]))
        held = "two of three shares, 4 random numbers each, which say nothing without the third"
        assert {name: text for name, text in rows.items() if name.startswith("rank ")} == {
            f"rank {rank} holds": held for rank in range(3)
        }
        assert "dealer" not in session._repr_html_()


def test_a_protocol_that_hides_nothing_says_so():
    def show(session):
        return session.share(SECRET, owner=0)._repr_html_(), session._repr_html_()

    (tensor, session), = mpc.simulate(1, show, protocol="plain", dealer=False)
    assert "hides nothing" in tensor
    assert "nothing was revealed" in session
