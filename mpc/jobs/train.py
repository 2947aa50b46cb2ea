"""The built-in program of a job that names an estimator: share the tables, fit, open what the job lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mpc
from mpc.estimators.base import AfterEpoch, Estimator
from mpc.estimators.classifier import Classifier
from mpc.jobs.estimators import make_estimator
from mpc.jobs.membership import Membership
from mpc.jobs.results import Opened, Results
from mpc.jobs.tables import share_tables
from mpc.report.judging import judge
from parties import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor

    from mpc.session import Session
    from mpc.tensor import SharedTensor


def train(member: Membership) -> None:
    """What every member runs; each then has the results that the job lists for it.

    Raises as `share_tables`, `Estimator.fit` and `Session.reveal` do.
    """
    said = member.job.model
    model = make_estimator(str(said.estimator), said.parameters)
    if any(each.what == "probabilities" for each in member.job.reveals) and not isinstance(model, Classifier):
        raise ConfigurationError(f"the job reveals probabilities, and {said.estimator} has none; want a classifier")
    with mpc.session() as session:
        results = Results(session, member)
        x, y = share_tables(session, member)
        fit_and_open(session, model, x, y, results)
        judge(session, model, results)
    results.write(model)


def fit_and_open(session: Session, model: Estimator, x: SharedTensor, y: SharedTensor, results: Opened) -> None:
    """Fit, and open what the results have recipients for."""
    model.fit(x, y, after_epoch=_losses(session, model, results))
    _open(session, model, x, y, results)


def _losses(session: Session, model: Estimator, results: Opened) -> AfterEpoch:
    """Opens the mean loss of each epoch, or of the last one if the job allows one opening alone."""
    first = model.epochs - results.times("loss")

    def after_epoch(epoch: int, loss: Tensor) -> float | None:
        to = results.recipients("loss")
        if not to or epoch < first:
            return None
        if session.report is not None:
            session.report.place("loss", "epoch", epoch + 1)
        value = session.reveal(loss, to=to, name="loss")
        if value is None:
            return None
        results.losses[epoch] = float(value)
        return float(value)

    return after_epoch


def _open(session: Session, model: Estimator, x: SharedTensor, y: SharedTensor, results: Opened) -> None:
    if to := results.recipients("score"):
        results.score = model.score(x, y, to=to)
    if to := results.recipients("predictions"):
        results.predictions = session.reveal(model.predict(x), to=to, name="predictions")
    if isinstance(model, Classifier) and (to := results.recipients("probabilities")):
        values = model.predict_proba(x)
        values = values[:, 1] if values.shape[1] == 2 else values
        results.probabilities = session.reveal(values, to=to, name="probabilities")
    if to := results.recipients("model"):
        results.model = session.reveal_module(model.module_, to=to, name="model")
