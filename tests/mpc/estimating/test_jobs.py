"""Estimates of jobs: few epochs say exactly what many send; rows instead of tables."""

import pytest
import torch

import mpc
from mpc.estimating.jobs import Epochs, as_if, epochs_of, fits, program, ranks_of, rows_of, scaled, survey_job
from mpc.estimating.running import Ranks, count
from mpc.estimating.transport import MessageCost
from mpc.jobs.estimators import make_estimator
from mpc.jobs.example import write_example
from mpc.jobs.results import Opened
from mpc.jobs.train import fit_and_open
from parties.job import read_job

SETTINGS = {"epochs": 6, "batch": 16, "lr": 0.05, "seed": 0}
ROWS = {0: 21, 1: 20}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    paths = write_example(tmp_path_factory.mktemp("example"))
    return read_job(paths[0]), dict(zip(("hospital_a", "hospital_b"), paths[1:], strict=True))


@pytest.mark.parametrize("silent", [0, 2, 6])
def test_few_epochs_are_enough(example, silent):
    """Exactly what all epochs send, with and without losses that are opened."""
    wanted = Epochs(silent, 6 - silent)
    few = Epochs(min(wanted.silent, 3), min(wanted.opened, 3))
    total, each = scaled(count(program(example[0], SETTINGS, ROWS, few), Ranks(2)), few, wanted)
    assert each == 3
    assert total == count(program(example[0], SETTINGS, ROWS, wanted), Ranks(2)).total


def test_as_a_run_of_the_job(example):
    """Bytes and rounds of the job's own program among real ranks, which have data."""
    job, _ = example

    def run(session):
        part = ROWS.get(session.rank)
        x = session.share_rows(None if part is None else torch.rand(part, 30))
        y = session.share_rows(None if part is None else (torch.rand(part, 1) > 0.5).float())
        fit_and_open(session, make_estimator("LogisticRegression", SETTINGS), x, y, Opened(job))
        sent = session.counts.total("online")
        return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes

    real = mpc.simulate(3, run)
    known = survey_job(job, ROWS, MessageCost(3e-5, 1e-9), parameters=SETTINGS, seconds=3)
    assert (known.total.sent, known.total.rounds) == ((real[0][0], real[1][0]), real[0][1])
    assert known.total.offline == real[2][2]
    assert (known.steps, known.epoch) == (18, 3)


def test_under_another_protocol(example):
    """The dealer of a job computes where a protocol has none; where it needs one, there is a member more."""
    job, tables = example
    assert as_if(job, "additive") is job or as_if(job, "additive") == job
    trio = as_if(job, "replicated")
    assert (trio.names, trio.computing, trio.dealer) == (("hospital_a", "hospital_b", "dealer"), 3, None)
    assert ranks_of(trio) == Ranks(3, 0, deals=False, protocol="replicated")
    assert rows_of(trio, {}, tables) == {0: 285, 1: 284}
    back = as_if(trio, "additive")
    assert (back.computing, back.dealer, back.names[3]) == (3, 3, "the-dealer")
    assert as_if(back, "replicated").names == trio.names, "three parties compute, and the dealer stays away"
    known = survey_job(trio, ROWS, MessageCost(3e-5, 1e-9), parameters={**SETTINGS, "epochs": 2}, seconds=0.5)
    assert known.total.sent[0] > 0
    assert known.total.offline == 0
    another = trio.parties[0].model_copy(update={"name": "another"})
    four = trio.model_copy(update={"parties": (*trio.parties, another)})
    assert [fits(one, "replicated") for one in (job, trio, back, four)] == [True, True, True, False]
    with pytest.raises(mpc.ConfigurationError, match="has 4 computing parties; protocol 'replicated' takes exactly 3"):
        as_if(as_if(four, "additive"), "replicated")


def test_rows(example):
    job, tables = example
    assert rows_of(job, {}, tables) == {0: 285, 1: 284}
    assert rows_of(job, {"hospital_a": 5}, tables) == {0: 5, 1: 284}
    with pytest.raises(mpc.ConfigurationError, match=r"how many rows has hospital_a\? want --rows hospital_a=N"):
        rows_of(job, {}, {})
    with pytest.raises(mpc.ConfigurationError, match="rows of nobody, who owns no data in this job"):
        rows_of(job, {"nobody": 5}, tables)
    assert epochs_of(job, SETTINGS) == Epochs(0, 6)
    assert epochs_of(job, {**SETTINGS, "epochs": 12}) == Epochs(2, 10)
