"""Several owners train a convolutional network on handwritten digits, split by rows.

mpirun -n 3 python -m experiments.digits        (or: jointfit run -n 3 -m experiments.digits)
"""

from __future__ import annotations

import argparse

from sklearn.metrics import accuracy_score
from torch import Tensor

import mpc
from experiments import report
from experiments.digits import config
from experiments.training import Outcome, Tables, run
from mpc.data import rows_of


def program(session: mpc.Session, options: argparse.Namespace) -> list[Outcome]:
    """Train and compare; the outcome on rank 0, nothing elsewhere."""
    table, labels = config.load(options.seed)
    if options.rows is not None:
        table = Tables(table.x[: options.rows], table.y[: options.rows], table.x_test)

    def mine(whole: Tensor) -> Tensor | None:
        return None if session.is_dealer else rows_of(whole, session.computing, session.rank)

    tables = Tables(*(session.share_rows(mine(part)) for part in (table.x, table.y, table.x_test)))
    case = config.case(options.epochs, options.batch, options.seed)
    outcome = run(session, case, tables, table if session.rank == 0 else None)
    if outcome is None:
        return []
    outcome.metrics = {
        "accuracy": accuracy_score(labels, outcome.outputs.argmax(1)),
        "plain acc.": accuracy_score(labels, outcome.plain_outputs.argmax(1)),
        "same class": accuracy_score(outcome.outputs.argmax(1), outcome.plain_outputs.argmax(1)),
    }
    report.finish([outcome], options.json)
    path = options.out / "digits.png"
    report.draw(path, [outcome], "digits", ("class", "test rows so classified"), _histogram)
    print(f"curves: {path}\n{session.summary()}", flush=True)
    return [outcome]


def _histogram(output: Tensor) -> tuple[list[int], list[int]]:
    return list(range(10)), output.argmax(1).bincount(minlength=10).tolist()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of this experiment."""
    parser = report.options(__doc__ or "", epochs=5, batch=64)
    parser.add_argument("--rows", type=int, help="train on the first ROWS rows only")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    report.start(program, parse())
