"""Hospitals train a logistic regression and a perceptron on breast-cancer data, split by rows and by columns.

mpirun -n 3 python -m experiments.clinical        (or: jointfit run -n 3 -m experiments.clinical)

Without a dealer: jointfit deal -n 3 --out deal -m experiments.clinical; jointfit run -n 2 --correlations deal -m …
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve
from torch import Tensor

import mpc
from experiments import report
from experiments.clinical import config
from experiments.training import Outcome, Tables, run
from mpc.data import columns_of, rows_of


def shared_tables(session: mpc.Session, split: str, table: Tables) -> Tables:
    """Share the hospitals' parts. By rows, each has some patients; by columns, each has some measurements of all
    patients, and hospital 0 the labels. The dealer passes nothing.
    """
    part = {"rows": rows_of, "columns": columns_of}[split]
    share = {"rows": session.share_rows, "columns": session.share_columns}[split]

    def mine(whole: Tensor) -> Tensor | None:
        return None if session.is_dealer else part(whole, session.computing, session.rank)

    def shapes(whole: Tensor) -> dict[int, torch.Size]:
        return {rank: part(whole, session.computing, rank).shape for rank in range(session.computing)}

    if split == "rows":
        y = session.share_rows(mine(table.y), shape=shapes(table.y))
    else:
        y = session.share(table.y if session.rank == 0 else None, owner=0, shape=table.y.shape)
    x = share(mine(table.x), shape=shapes(table.x))
    return Tables(x, y, share(mine(table.x_test), shape=shapes(table.x_test)))


def program(session: mpc.Session, options: argparse.Namespace) -> list[Outcome]:
    """All four cases; the outcomes on rank 0, nothing elsewhere."""
    table, labels = config.load(options.seed)
    if options.rows is not None:
        table = Tables(table.x[: options.rows], table.y[: options.rows], table.x_test)
    outcomes = []
    for split in options.splits:
        tables = shared_tables(session, split, table)
        for case in config.cases(options.epochs, options.batch, options.seed):
            named = replace(case, name=f"{case.name}, {split}")
            outcome = run(session, named, tables, table if session.rank == 0 else None)
            if outcome is not None:
                outcome.metrics = metrics(outcome, labels)
                outcomes.append(outcome)
    if session.rank == 0:
        report.finish(outcomes, options.json)
        axes = ("false positive rate", "true positive rate")
        path = options.out / "clinical.png"
        report.draw(path, outcomes, "clinical", axes, lambda output: roc_curve(labels.ravel(), output.ravel())[:2])
        print(f"curves: {path}\n{session.summary()}", flush=True)
    return outcomes


def metrics(outcome: Outcome, labels: Tensor) -> dict[str, float]:
    """Accuracy and area under the ROC curve on the test rows, of shares and of plain PyTorch."""
    return {
        "accuracy": accuracy_score(labels, outcome.outputs > 0),
        "plain acc.": accuracy_score(labels, outcome.plain_outputs > 0),
        "AUC": roc_auc_score(labels, outcome.outputs),
        "plain AUC": roc_auc_score(labels, outcome.plain_outputs),
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of this experiment."""
    parser = report.options(__doc__ or "", epochs=6, batch=64)
    parser.add_argument("--splits", nargs="+", choices=["rows", "columns"], default=["rows", "columns"])
    parser.add_argument("--rows", type=int, help="train on the first ROWS rows only")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    report.start(program, parse())
