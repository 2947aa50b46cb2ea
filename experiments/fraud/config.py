"""Card transactions: the public schema, a generator of tables that look like them, and the models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from experiments.training import Case
from mpc.data import Column, Schema

CATEGORIES = ("grocery", "fuel", "restaurant", "travel", "electronics", "online", "cash", "other")
CHANNELS = ("chip", "contactless", "stripe", "web")
SCHEMA = Schema(
    columns=(
        Column("amount", unit=2.0, lowest=0, highest=1e6, log=True),
        Column("hour", unit=12.0, lowest=0, highest=23),
        Column("weekday", unit=4.0, lowest=0, highest=6),
        Column("distance_km", unit=3.0, lowest=0, highest=2.1e4, log=True),
        Column("minutes_since_last", unit=3.0, lowest=0, highest=1e7, log=True),
        Column("count_24h", unit=5.0, lowest=0, highest=1e4),
        Column("card_age_days", unit=1000.0, lowest=0, highest=2e4),
        Column("foreign", lowest=0, highest=1),
        Column("merchant", categories=CATEGORIES),
        Column("channel", categories=CHANNELS),
    ),
    label="fraud",
)


def generate(rows: int, bank: int, seed: int = 0) -> Any:
    """A data frame of one bank's transactions, about 3 in 100 fraudulent; banks differ in their customers.

    Fraud is likelier for large amounts far from home, at night, on the web or by magnetic stripe, soon after another
    payment, on young cards; combinations count more than single signs.
    """
    import pandas as pd

    draw = np.random.default_rng([seed, bank])
    merchant = draw.choice(len(CATEGORIES), rows, p=[0.3, 0.12, 0.18, 0.05, 0.06, 0.15, 0.06, 0.08])
    typical = np.array([30.0, 50.0, 35.0, 300.0, 180.0, 60.0, 120.0, 40.0])
    amount = np.round(draw.lognormal(np.log(typical[merchant] * (1 + 0.3 * bank)), 0.7), 2)
    hour = np.clip(np.round(draw.normal(14, 4.5, rows)), 0, 23).astype(int)
    night = (hour < 6) | (hour > 22)
    foreign = (draw.random(rows) < 0.06 + 0.02 * bank).astype(int)
    distance = np.round(draw.lognormal(1.5 + 3.5 * foreign, 1.2), 1).clip(0, 2e4)
    minutes = np.round(draw.lognormal(6, 1.4, rows), 1)
    count = draw.poisson(2.0 + 2.0 * (minutes < 60), rows)
    age = np.round(draw.gamma(2.0, 500.0, rows))
    web = np.isin(merchant, [3, 4, 5])
    channel = np.where(web & (draw.random(rows) < 0.7), 3, draw.choice(3, rows, p=[0.4, 0.5, 0.1]))
    score = (
        -7.4
        + 0.55 * np.log(amount / 40)
        + 0.35 * np.log1p(distance / 10)
        + 1.2 * night
        + 0.9 * (channel == 3)
        + 1.4 * (channel == 2)
        + 1.1 * (minutes < 30)
        + 0.8 * (age < 200)
        + 1.8 * (foreign * (channel >= 2))
        + 1.5 * ((amount > 300) & night)
        + 0.15 * count
    )
    fraud = (draw.random(rows) < 1 / (1 + np.exp(-1.4 * score - 4.3))).astype(int)
    return pd.DataFrame(
        {
            "amount": amount,
            "hour": hour,
            "weekday": draw.integers(0, 7, rows),
            "distance_km": distance,
            "minutes_since_last": minutes,
            "count_24h": count,
            "card_age_days": age,
            "foreign": foreign,
            "merchant": np.array(CATEGORIES)[merchant],
            "channel": np.array(CHANNELS)[channel],
            "fraud": fraud,
        }
    )


def cases(epochs: int, batch: int, seed: int, weight: float) -> list[Case]:
    """Logistic regression and a perceptron; a fraud counts ``weight`` times as much as an honest transaction."""
    positive = torch.tensor([weight])

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(output, target, pos_weight=positive)

    def sgd(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    width = SCHEMA.width
    return [
        Case("logistic", lambda: nn.Linear(width, 1), loss, sgd, epochs, batch, seed),
        Case(
            "mlp",
            lambda: nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 1)),
            loss,
            sgd,
            epochs,
            batch,
            seed,
        ),
    ]
