"""Banks train a fraud detector on their card transactions, which are rare events among many: split by rows.

mpirun -n 3 python -m experiments.fraud        (or: jointfit run -n 3 -m experiments.fraud)

With --table each bank reads its own CSV or Parquet file instead, with the columns of config.SCHEMA; {rank} in the
name stands for the bank's rank. No twin in plain PyTorch is trained then, for nobody holds the data.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from torch import Tensor

import mpc
from experiments import report
from experiments.fraud import config
from experiments.training import Outcome, Tables, fit, run, standardized
from mpc.data import read_table


def own_table(options: argparse.Namespace, bank: int) -> tuple[Tensor, Tensor]:
    """Features and labels of one bank: read from its file, or generated."""
    if options.table is None:
        frame = config.generate(options.rows, bank, options.seed)
    else:
        frame = read_table(options.table.replace("{rank}", str(bank)))
    return config.SCHEMA.encode(frame)


def split(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training features and labels, test features and labels: the last quarter of a bank's rows is for the test."""
    cut = len(x) * 3 // 4
    return x[:cut], y[:cut], x[cut:], y[cut:]


def program(session: mpc.Session, options: argparse.Namespace) -> list[Outcome]:
    """Train and compare; the outcomes on rank 0, nothing elsewhere."""
    mine = (None, None, None, None) if session.is_dealer else split(*own_table(options, session.rank))
    x, y, x_test, y_test = (session.share_rows(part) for part in mine)
    tables = Tables(x, y, x_test)
    cases = config.cases(options.epochs, options.batch, options.seed, options.weight)
    if options.table is not None:
        return own_files(session, cases[-1], tables, y_test)
    pooled, labels = None, torch.empty(0)
    if session.rank == 0:
        banks = [split(*own_table(options, bank)) for bank in range(session.computing)]
        whole = [torch.cat(parts) for parts in zip(*banks, strict=True)]
        pooled, labels = Tables(*whole[:3]), whole[3]
    outcomes = []
    for case in cases:
        outcome = run(session, case, tables, pooled)
        if outcome is not None:
            outcome.metrics = {
                "avg. precision": average_precision_score(labels, outcome.outputs),
                "plain AP": average_precision_score(labels, outcome.plain_outputs),
                "AUC": roc_auc_score(labels, outcome.outputs),
                "plain AUC": roc_auc_score(labels, outcome.plain_outputs),
            }
            outcomes.append(outcome)
    if session.rank == 0:
        report.finish(outcomes, options.json)
        path = options.out / "fraud.png"
        report.draw(path, outcomes, "fraud", ("recall", "precision"), lambda output: _curve(labels, output))
        print(f"{int(labels.sum())} of {len(labels)} test rows are fraud; curves: {path}")
        print(session.summary(), flush=True)
    return outcomes


def own_files(session: mpc.Session, case: config.Case, tables: Tables, y_test: Tensor) -> list[Outcome]:
    """Train the perceptron on the banks' own files; reveals scores and labels of the test rows to all banks."""
    model = session.share_module(case.make())
    scaled = standardized(tables)
    fit(model, scaled, case, session)
    with torch.no_grad():
        outputs = session.reveal(model(scaled.x_test))
    labels = session.reveal(y_test)
    if session.rank == 0 and outputs is not None and labels is not None:
        print(f"average precision {average_precision_score(labels, outputs):.4f} on {len(labels)} test rows")
        print(session.summary(), flush=True)
    return []


def _curve(labels: Tensor, output: Tensor) -> tuple[list[float], list[float]]:
    precision, recall, _ = precision_recall_curve(labels.ravel(), output.ravel())
    return recall, precision


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of this experiment."""
    parser = report.options(__doc__ or "", epochs=5, batch=128)
    parser.add_argument("--rows", type=int, default=3000, help="rows a bank, if they are generated (3000)")
    parser.add_argument("--weight", type=float, default=10.0, help="how much more a fraud counts (10)")
    parser.add_argument("--table", help="the bank's own .csv, .csv.gz or .parquet file; {rank} is replaced")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    chosen = parse()
    report.start(program, chosen, own=["table"], own_tables=chosen.table is not None)
