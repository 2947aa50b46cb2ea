"""A program for processes: ``python -m tests.mpc.profiling FOLDER`` leaves what the transport counted there."""

import json
import sys
from pathlib import Path

import torch

import mpc
from tests.mpc.profiling.programs import X, Y, given, small

if __name__ == "__main__":
    torch.set_num_threads(1)
    with mpc.session() as session:
        model = session.share_module(small(), owner=0)
        torch.nn.functional.mse_loss(model(given(session, X, 0)), given(session, Y, 1)).backward()
        session.reveal(model[0].weight.grad)
    sums = session.counts.total()
    counted = [sums.bytes_sent, sums.bytes_received, sums.messages, sums.rounds]
    (Path(sys.argv[1]) / f"counted-{session.rank}.json").write_text(json.dumps(counted))
