"""How well what a member of a job learned fits the labels that it brought: computed here, from its own rows alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mpc.estimators.classifier import Classifier
from mpc.report import metrics
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.estimators.base import Estimator
    from mpc.jobs.results import Results
    from mpc.report.collecting import Collector
    from mpc.report.parts import Quality
    from mpc.session import Session

log = logging.getLogger(__name__)


def judge(session: Session, model: Estimator, results: Results) -> None:
    """Tell the report how good the results of this member are. Opens nothing.

    A member that learned the model, and brought whole rows, runs it on them in plain PyTorch; one that learned
    probabilities or predictions compares those of the rows whose labels it brought. The first of these that there is
    counts. Without a report, results or labels of its own, nothing happens.
    """
    report = session.report
    if report is None:
        return
    kind = isinstance(model, Classifier)
    if results.score is not None:
        report.score("accuracy over all rows" if kind else "R² over all rows", results.score)
    try:
        found = _quality(session, report, results, classifier=kind)
    except ConfigurationError as error:  # numbers that left the range, say: no reason to lose the results
        log.warning("the report cannot say how good the results are: %s", error)
        return
    if found is not None:
        report.quality(found)


def _quality(session: Session, report: Collector, results: Results, *, classifier: bool) -> Quality | None:
    own = report.own
    if own is None:
        return None
    name = session.agreed.names[session.rank] if session.agreed is not None else f"rank {session.rank}"
    if results.model is not None and own.features is not None:
        output = _run(results.model, own.features, classifier=classifier)
        of = f"the revealed model on the rows of {name}, with which it was trained"
        if classifier:
            return metrics.of_probabilities(own.labels, output, of, own.classes)
        return metrics.of_numbers(own.labels, output, of)
    if results.probabilities is not None:
        of = f"revealed probabilities of the rows whose labels {name} brought"
        return metrics.of_probabilities(own.labels, results.probabilities[own.rows], of, own.classes)
    if results.predictions is None:
        return None
    of = f"revealed predictions of the rows whose labels {name} brought"
    if classifier:
        width = max(2, own.labels.shape[1])
        return metrics.of_classes(own.labels, results.predictions[own.rows], of, own.classes, width)
    return metrics.of_numbers(own.labels, results.predictions[own.rows], of)


def _run(module: nn.Module, features: Tensor, *, classifier: bool) -> Tensor:
    """Probabilities (rows, 1) or (rows, classes), or numbers."""
    with torch.no_grad():
        output: Tensor = module(features)
    if not classifier:
        return output
    return torch.sigmoid(output) if output.shape[1] == 1 else torch.softmax(output, dim=1)
