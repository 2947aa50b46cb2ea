"""torch.lstm in differentiable steps: torch would hand the layers to oneDNN, which needs plain memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def lstm(
    x: Tensor,
    hx: Sequence[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs of the last layer, and last hidden and cell states of all layers; arguments as torch.lstm."""
    directions = 2 if bidirectional else 1
    each = len(weights) // (num_layers * directions)
    out = x.transpose(0, 1) if batch_first else x
    hidden, cells = [], []
    for layer in range(num_layers):
        sides = []
        for side in range(directions):
            k = layer * directions + side
            steps, h, c = _direction(out, hx[0][k], hx[1][k], weights[k * each : (k + 1) * each], has_biases, side == 1)
            sides.append(steps)
            hidden.append(h)
            cells.append(c)
        out = sides[0] if directions == 1 else torch.cat(sides, -1)
        if dropout and train and layer < num_layers - 1:
            out = torch.nn.functional.dropout(out, dropout)
    return out.transpose(0, 1) if batch_first else out, torch.stack(hidden), torch.stack(cells)


def _direction(
    x: Tensor, h: Tensor, c: Tensor, weights: Sequence[Tensor], has_biases: bool, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One direction of one layer; a third matrix beside the biases projects the hidden state."""
    w_ih, w_hh = weights[0], weights[1]
    biases = weights[2:4] if has_biases else ()
    projection = weights[-1] if len(weights) % 2 else None
    inputs = torch.nn.functional.linear(x, w_ih, biases[0] + biases[1] if biases else None)
    outputs = []
    order = range(x.shape[0] - 1, -1, -1) if reverse else range(x.shape[0])
    for i in order:
        gates = inputs[i] + h @ w_hh.t()
        size = gates.shape[-1] // 4
        opened = torch.sigmoid(torch.cat([gates[..., : 2 * size], gates[..., 3 * size :]], -1))
        fresh = torch.tanh(gates[..., 2 * size : 3 * size])
        c = opened[..., size : 2 * size] * c + opened[..., :size] * fresh
        h = opened[..., 2 * size :] * torch.tanh(c)
        if projection is not None:
            h = h @ projection.t()
        outputs.append(h)
    if reverse:
        outputs.reverse()
    return torch.stack(outputs), h, c
