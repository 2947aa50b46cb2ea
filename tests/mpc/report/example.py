"""A record of a run that never was, with everything that a page can show, and names that are hard to show."""

from __future__ import annotations

import numpy as np

from mpc.report import metrics
from mpc.report.parts import (
    Allowed,
    Column,
    Curve,
    Ended,
    Job,
    Layer,
    Member,
    Model,
    Moment,
    Peer,
    Phase,
    Revealed,
    Traffic,
    Trust,
    Weights,
)
from mpc.report.record import Record

SCRIPT = "<script>alert('no')</script>"
BEGUN, DONE = "2026-03-01T10:00:00.000+00:00", "2026-03-01T10:00:07.500+00:00"


def quality(classes: int, rows: int = 300):
    """Of predictions that are right more often than not."""
    generator = np.random.default_rng(classes)
    labels = generator.integers(classes, size=rows)
    logits = generator.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return metrics.of_probabilities(labels, probabilities, f"rows of {SCRIPT}", [f"class {k}" for k in range(classes)])


def traffic(*key: str, size: int) -> Traffic:
    counts = {"sent": size, "received": size, "messages": 3, "rounds": 2, "correlations": 5 * size, "calls": 2}
    return Traffic(key=key, computing=size / 1e6, waiting=size / 4e6, **counts)


def example(rank: int = 0, **changes) -> Record:
    parts = [("", "share"), ("encoder.0.linear", "forward"), ("encoder.0.linear", "backward"), ("a$b$", "forward")]
    layers = [traffic(*key, size=40_000 * (place + 1)) for place, key in enumerate(parts)]
    many = [traffic(f"blocks.{place}.attention.projection", "backward", size=9_000) for place in range(20)]
    values = {
        "session": "0f" * 16,
        "rank": rank,
        "members": (
            Member(name="hospital_a", roles=("owner", "computing", "receiver")),
            Member(name="hospital_b", roles=("owner", "computing")),
            Member(name="a_clinic_with_a_rather_long_name", roles=("owner", "receiver")),
            Member(name="dealer", roles=("dealer",)),
        ),
        "begun": BEGUN,
        "finished": DONE,
        "seconds": 7.5,
        "ended": Ended(well=True),
        "program": "estimator LogisticRegression",
        "versions": {"jointfit": "0.1.0", "torch": "2.9"},
        "protocol": "additive",
        "bits": 20,
        "rounding": "chance",
        "device": "cpu",
        "transport": "tls",
        "encrypted": True,
        "job": Job(
            name=f"heart {SCRIPT}",
            digest="ab" * 32,
            described=f"Job heart\n  {SCRIPT}\n",
            columns=(
                Column(name=SCRIPT, said="0 … 60, unit 10", largest=6.0),
                Column(name=r"mean $\foo$ area of cells", said="0 … 6000", largest=6000.0),
                Column(name="病院 🏥 ا", said="0 … 9", largest=9.0),
                Column(name="free", said="any"),
                Column(name="ill", said="0 … 1", largest=1.0, label=True),
            ),
            reveals=(Allowed(name="loss", to=(0, 2), times=40), Allowed(name="model", to=(0,), times=1)),
        ),
        "trust": Trust(
            protects=True,
            adversary="semi-honest",
            curious=("Everybody may be curious.",),
            apart=("The dealer must not collude.",),
            links=("Links are TLS 1.3.",),
            reveals=("Only what the list names was opened.",),
            open=("Shapes are public.",),
        ),
        "limits": {"seconds": 3600.0},
        "models": (
            Model(
                kind="Sequential",
                layers=(Layer(path="0", kind="Linear", settings="30, 1", shapes=((1, 30), (1,)), parameters=31),),
                parameters=31,
            ),
        ),
        "scores": {f"accuracy {SCRIPT}": 0.93},
        "curves": (
            Curve(name="loss", unit="epoch", points=tuple((n, 0.7 / n) for n in range(1, 41)), count=40),
            Curve(name=f"norm {SCRIPT}", unit="number of the reveal", points=((1, 2.0), (2, 1.0)), count=2),
        ),
        "quality": (quality(2), quality(4)),
        "weights": (Weights(of="Linear", count=31, zeros=1, lowest=-9, counts=(1, 2, 5, 9, 7, 4, 2), top=-3.1),),
        "reveals": (
            Revealed(name="loss", what="tensor ()", shape=(), to=(0, 2), count=40, first=BEGUN, last=DONE),
            Revealed(name=None, what=f"tensor {SCRIPT}", shape=(3, 4), to=(0,), count=1, first=DONE, last=DONE),
            Revealed(name="data", what="t", shape=(3,), to=(0,), count=1, first=DONE, last=DONE, refused=True),
        ),
        "log": "reveals.jsonl, 82 lines, the last with the hash " + "cd" * 32,
        "phases": tuple(
            Phase(name=name, sent=size, received=size, messages=9, rounds=9)
            for name, size in (("setup", 9_999), ("offline", 0), ("online", 7_654_321))
        ),
        "peers": (
            Peer(rank=1, sent=7_000_000, received=7_000_000),
            Peer(rank=2, sent=2_000, received=600_000),
            Peer(rank=3, sent=11_000, received=22_000_000),
        ),
        "overhead": 80_000,
        "dealt": None,
        "used": 22_000_000,
        "layers": (*layers, *many),
        "operations": tuple(traffic(name, size=50_000) for name in ("aten.addmm", "aten.\0relu", SCRIPT)),
        "timeline": tuple(
            Moment(begin=at / 4, end=(at + 1) / 4, sent=1000 * (at % 7), received=900, waiting=0.1, rounds=3)
            for at in range(30)
        ),
    }
    return Record(**(values | changes))
