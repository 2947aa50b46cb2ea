"""One party of CrypTen: the largest error of every row. Needs no jointfit."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.accuracy.domains import ROWS, inputs, largest_error
from experiments.peers import shims

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "product": lambda x, y: x * y,
    "matrix product": lambda x, y: x.reshape(-1, 40).matmul(y.reshape(40, -1)[:, :40]),
    "exp": lambda x: x.exp(),
    "reciprocal": lambda x: x.reciprocal(),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "erf": lambda x: x.erf(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x: x.inv_sqrt(),
    "softmax of 10": lambda x: x.reshape(-1, 10).softmax(1),
}


def main(folder: str) -> None:
    """Run as a party; rank 0 writes what it found."""
    warnings.simplefilter("ignore")
    crypten = shims.load()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    crypten.init()
    found = []
    for row in ROWS:
        operands = inputs(row)
        shares = [crypten.cryptensor(x.float(), src=i) for i, x in enumerate(operands)]
        found.append(largest_error(row, FUNCTIONS[row.function](*shares).get_plain_text(), operands))
    if crypten.communicator.get().get_rank() == 0:
        (Path(folder) / "errors.json").write_text(json.dumps(found))
    crypten.communicator.get().barrier()
    sys.stdout.flush()
    os._exit(0)  # CrypTen's process groups take seconds to end by themselves


if __name__ == "__main__":
    main(*sys.argv[1:])
