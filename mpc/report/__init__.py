"""Reports: each run can write one self-contained HTML page, and the JSON that the page is made from.

``mpc.session(report="run.html")`` or ``jointfit party --report run.html`` writes them when the session ends, well or
not; ``jointfit report run.json --out run.html`` makes the page again. A program that learns probabilities of rows whose
labels it has calls `evaluate`, for ROC and calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpc.report import metrics

if TYPE_CHECKING:
    from mpc.session import Session

__all__ = ["evaluate"]


def evaluate(session: Session, labels: Any, probabilities: Any, *, of: str, classes: Sequence[str] = ()) -> None:
    """Show in this rank's report how well probabilities that were revealed to it fit labels that it has.

    ``labels``: (rows,) or one-hot; ``probabilities``: (rows,) of class 1 of two, or (rows, classes); ``of``: which rows
    these are; ``classes``: their names. Does nothing in a session without a report.

    Raises ConfigurationError for numbers that are no probabilities, or labels that do not fit. Local; opens nothing.
    """
    if session.report is not None:
        session.report.quality(metrics.of_probabilities(labels, probabilities, of, classes))
