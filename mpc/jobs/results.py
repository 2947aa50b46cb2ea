"""What a member learns of a job: files that plain PyTorch can use."""

from __future__ import annotations

import csv
import io
import json
import logging
from typing import TYPE_CHECKING, Any

from safetensors.torch import save
from torch import Tensor, nn

from mpc.jobs.membership import Membership
from mpc.jobs.state import write_private
from mpc.jobs.tables import feature_names

if TYPE_CHECKING:
    from mpc.estimators.base import Estimator
    from mpc.session import Session
    from parties.job import Job

log = logging.getLogger(__name__)

_SAID = {"name", "origin", "unit", "log", "categories"}

MODEL, SUMMARY = "model.safetensors", "results.json"
PREDICTIONS, PROBABILITIES = "predictions.csv", "probabilities.csv"


class Opened:
    """What a job opens to one member; the others' stay None or empty.

    Attributes:
        model: the trained module. score: one number. predictions: (rows,) or (rows, 1). losses: by epoch.
        probabilities: (rows,) of the second of two classes, or (rows, classes).
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model: nn.Module | None = None
        self.score: float | None = None
        self.predictions: Tensor | None = None
        self.probabilities: Tensor | None = None
        self.losses: dict[int, float] = {}

    def recipients(self, what: str) -> list[int]:
        """The ranks that learn ``what``, by the job; nobody if it is not listed."""
        return sorted(self.job.rank(name) for each in self.job.reveals if each.what == what for name in each.to)

    def times(self, what: str) -> int:
        """How often ``what`` may be opened."""
        return sum(each.times for each in self.job.reveals if each.what == what)


class Results(Opened):
    """The same, and writes it to files of the member's."""

    def __init__(self, session: Session, member: Membership) -> None:
        super().__init__(member.job)
        self._session = session
        self._member = member

    def write(self, model: Estimator) -> None:
        """Write what there is into the member's state folder, readable by this user only.

        ``model.safetensors`` holds the weights, ``results.json`` all else that is needed to use them: the module's
        layers, the columns with their public units, the score, the losses.
        """
        folder = self._member.state
        found = (self.model, self.score, self.predictions, self.probabilities)
        if all(each is None for each in found) and not self.losses:
            return
        if self.model is not None:
            write_private(folder / MODEL, save(dict(self.model.state_dict())))
        if self.predictions is not None:
            rows = "\n".join(str(value) for value in self.predictions.reshape(-1).tolist())
            write_private(folder / PREDICTIONS, f"prediction\n{rows}\n".encode())
        if self.probabilities is not None:
            write_private(folder / PROBABILITIES, self._table(self.probabilities).encode())
        write_private(folder / SUMMARY, json.dumps(self._summary(model), indent=2).encode() + b"\n")
        log.info("results are in %s", folder, extra={"event": "results", "folder": str(folder)})

    def _table(self, values: Tensor) -> str:
        """Probabilities as CSV: a column for the second of two classes, or one for each class."""
        classes = list(self._member.job.data.target.categories) or ["0", "1"]
        head = classes[1:] if values.dim() == 1 else classes
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([head, *values.reshape(len(values), -1).tolist()])
        return out.getvalue()

    def _summary(self, model: Estimator) -> dict[str, Any]:
        job = self.job
        found: dict[str, Any] = {
            "job": job.name,
            "digest": job.digest.hex(),
            "estimator": job.model.estimator,
            "parameters": model.get_params(),
            "module": repr(model.module_),
            "inputs": feature_names(job),
            "columns": [each.model_dump(mode="json", include=_SAID) for each in job.data.features],
            "label": job.data.target.model_dump(mode="json", include=_SAID),
        }
        if self.score is not None:
            found["score"] = self.score
        if self.losses:
            found["losses"] = [{"epoch": epoch + 1, "loss": loss} for epoch, loss in sorted(self.losses.items())]
        return found
