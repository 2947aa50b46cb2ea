"""The program of the jobs under test: two hospitals share rows and train a logistic regression on them.

It stops at points, where a test does harm: after the session began ("input"), in the middle of training ("training"),
before the model is opened ("reveal"). TEST_FAULT="phase:kind" makes this member itself go wrong there.
"""

import json
import os

import torch

import mpc
from mpc.jobs.membership import Membership
from tests.faults import lies
from tests.faults.zygote import point, tell

STEPS = int(os.environ.get("TEST_STEPS", "6"))
PHASE, _, KIND = os.environ.get("TEST_FAULT", ":").partition(":")
BARRIERS = "TEST_FREELY" not in os.environ


def at(name: str) -> bool:
    """Come to a point; whether this member is to do something else there than the others."""
    if BARRIERS:
        if session.party.before_waiting is not None:
            session.party.before_waiting()  # a dealer gathers what it sends, and the others must come here too
        point(name)
    if name == PHASE:
        lies.begin(session, KIND)
    return name == PHASE and KIND == "deviate"


generator = torch.Generator().manual_seed(1)
features = torch.randn(24, 3, generator=generator)
labels = (features @ torch.tensor([[1.0], [-2.0], [0.5]]) > 0).float()
torch.manual_seed(7)

with mpc.session() as session:
    owners = [0, 1, *session.party.clients]
    parts = dict(zip(owners, zip(features.chunk(len(owners)), labels.chunk(len(owners)), strict=True), strict=True))
    mine = parts.get(session.rank, (None, None))
    other = at("input")
    if other:
        session.share(None, owner=0)
    x, y = session.share_rows(mine[0]), session.share_rows(mine[1])
    model = session.share_module(torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    done = 0
    for step in session.steps(STEPS, model, optimizer):
        if not BARRIERS:
            tell(f"step {step}")
        if BARRIERS and step == STEPS // 2 and at("training"):
            session.settle([x * x])
        rows = torch.arange(step * 8 % 24, step * 8 % 24 + 8)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if at("reveal"):
        session.reveal(model.weight, to=0, name="model")
    trained = session.reveal_module(model, to=[0, 1], name="model")
    if trained is not None:
        weights = torch.cat([each.detach().reshape(-1) for each in trained.parameters()]).tolist()
        (Membership.from_environment().state / "weights.json").write_text(json.dumps(weights))
