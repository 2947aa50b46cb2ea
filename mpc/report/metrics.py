"""How well predictions fit labels that this rank owns: ROC, precision at thresholds, calibration, classes, errors.

Computed in the clear, where both lie, with NumPy; scikit-learn, which is no dependency, gives the same (a test).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.report.parts import Bin, Quality, Roc, Threshold
from parties import ConfigurationError

Floats = NDArray[np.float64]

_POINTS = 200
_BINS = 10
_OFF = 0.01
"""How far a probability may be off: in fixed point some are a little below 0 or above 1, and are cut there."""

_THRESHOLDS = tuple(k / 20 for k in range(1, 20))


def of_probabilities(labels: Any, probabilities: Any, of: str, classes: Sequence[str] = ()) -> Quality:
    """From probabilities.

    Arguments:
        labels: (rows,) classes from 0, or one-hot (rows, classes).
        probabilities: (rows,) of class 1 of two; or (rows, classes), each row with the sum 1.
        of: which rows these are, for people.
        classes: their names.

    Two classes: ROC, precision and recall at thresholds, calibration, Brier score. More: a ROC of each against the
    rest, and of the likeliest class its calibration. A class that no row, or every row, has gets no ROC.
    """
    p = _numbers(probabilities, "probabilities")
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if not ((p >= -_OFF) & (p <= 1 + _OFF)).all() or (p.ndim == 2 and not np.allclose(p.sum(axis=1), 1, atol=_OFF)):
        raise ConfigurationError("got numbers that are no probabilities; want 0 … 1, and the sum 1 in each row")
    p = p.clip(0, 1)
    if p.ndim == 2 and p.shape[1] == 2:
        p = p[:, 1]
    width = 2 if p.ndim == 1 else p.shape[1]
    y = _classes(labels, width, len(p))
    names = _names(classes, width)
    guess = (p > 0.5).astype(np.int64) if p.ndim == 1 else p.argmax(axis=1)
    table = confusion(y, guess, width)
    if p.ndim == 1:
        hit, sure = y == 1, p
        rocs = [_roc(hit, p, names[1])]
        thresholds = tuple(_threshold(hit, p, at) for at in _THRESHOLDS) if hit.any() else ()
    else:
        hit, sure = guess == y, p.max(axis=1)
        rocs = [_roc(y == one, p[:, one], names[one]) for one in range(width)]
        thresholds = ()
    numbers = {"accuracy": float((guess == y).mean())}
    if p.ndim == 1:
        numbers["Brier score"] = float(((p - hit) ** 2).mean())
    return Quality(
        of=of[:4000],
        rows=len(p),
        numbers=numbers,
        rocs=tuple(each for each in rocs if each is not None),
        thresholds=thresholds,
        bins=calibration(hit, sure),
        classes=names,
        confusion=tuple(map(tuple, table.tolist())),
    )


def of_classes(labels: Any, guesses: Any, of: str, classes: Sequence[str] = (), width: int = 0) -> Quality:
    """From predicted classes (rows,), from 0: accuracy and the table of classes; of two, precision and recall too.

    ``width``: how many classes there are; without, as many as ``classes``, or as occur.
    """
    g: Any = _numbers(guesses, "predictions").reshape(-1).astype(np.int64)
    y: Any = _numbers(labels, "labels")
    width = width or (y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else 0) or len(classes)
    width = width or int(max(g.max(initial=1), y.max(initial=1))) + 1
    y = _classes(labels, width, len(g))
    if not ((g >= 0) & (g < width)).all():
        raise ConfigurationError(f"got predictions outside 0 … {width - 1}; want classes")
    table = confusion(y, g, width)
    numbers = {"accuracy": float((g == y).mean())}
    if width == 2:
        (_, false), (missed, right) = table.tolist()
        numbers |= {"precision": right / (right + false)} if right + false else {}
        numbers |= {"recall": right / (right + missed)} if right + missed else {}
    names = _names(classes, width)
    rows = tuple(map(tuple, table.tolist()))
    return Quality(of=of[:4000], rows=len(g), numbers=numbers, classes=names, confusion=rows)


def of_numbers(targets: Any, predictions: Any, of: str) -> Quality:
    """From predicted numbers: R² (unless all targets are equal), root mean square and mean absolute error."""
    y, p = _numbers(targets, "targets"), _numbers(predictions, "predictions")
    if y.size != p.size:
        raise ConfigurationError(f"got {p.size} predictions for {y.size} targets; want as many")
    error = p.reshape(-1) - y.reshape(-1)
    spread = float(((y - y.mean(axis=0)) ** 2).mean())
    numbers = {"R²": 1 - float((error**2).mean()) / spread} if spread > 0 else {}
    numbers |= {"RMS error": float(np.sqrt((error**2).mean())), "mean absolute error": float(np.abs(error).mean())}
    return Quality(of=of[:4000], rows=len(y), numbers=numbers)


def roc(hit: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats, float]:
    """False and true positive rates for falling thresholds, from (0, 0) to (1, 1), and the area under them.

    A point for each different score, rows of equal score at once, so that ties count half. Both classes must occur.
    """
    order = np.argsort(-score, kind="stable")
    hit, score = hit[order], score[order]
    last = np.append(np.nonzero(np.diff(score))[0], len(score) - 1)
    true = np.concatenate([[0], np.cumsum(hit)[last]]) / hit.sum()
    false = np.concatenate([[0], np.cumsum(~hit)[last]]) / (~hit).sum()
    area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    return false, true, area


def calibration(hit: NDArray[np.bool_], probability: Floats, count: int = _BINS) -> tuple[Bin, ...]:
    """Rows by predicted probability, in intervals of equal width: the mean prediction beside the share observed."""
    place = np.minimum((probability * count).astype(np.int64), count - 1)
    found = []
    for at in range(count):
        mine = place == at
        some = bool(mine.any())
        predicted = float(probability[mine].mean()) if some else None
        observed = float(hit[mine].mean()) if some else None
        low, high = at / count, (at + 1) / count
        found.append(Bin(low=low, high=high, count=int(mine.sum()), predicted=predicted, observed=observed))
    return tuple(found)


def confusion(labels: NDArray[np.int64], guesses: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """How many rows of each class (rows of the table) were taken for each class (columns)."""
    return np.bincount(labels * width + guesses, minlength=width * width).reshape(width, width)


def _roc(hit: NDArray[np.bool_], score: Floats, name: str) -> Roc | None:
    if hit.all() or not hit.any():
        return None
    false, true, area = roc(hit, score)
    if len(false) > _POINTS:  # the picture needs no more; the area is that of all points
        keep = np.unique(np.linspace(0, len(false) - 1, _POINTS).astype(np.int64))
        false, true = false[keep], true[keep]
    points = tuple(map(float, false)), tuple(map(float, true))
    return Roc(name=name, positives=int(hit.sum()), area=min(1.0, area), false=points[0], true=points[1])


def _threshold(hit: NDArray[np.bool_], score: Floats, at: float) -> Threshold:
    said = score >= at
    right = int((said & hit).sum())
    precision = right / int(said.sum()) if said.any() else None
    return Threshold(at=at, precision=precision, recall=right / int(hit.sum()))


def _numbers(values: Any, what: str) -> Floats:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
    if array.ndim not in (1, 2) or not array.size or not np.isfinite(array).all():
        raise ConfigurationError(f"got {what} of shape {array.shape}; want finite numbers, (rows,) or (rows, columns)")
    return array


def _classes(labels: Any, width: int, rows: int) -> NDArray[np.int64]:
    y = _numbers(labels, "labels")
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
    if len(y) != rows or not ((y == y.round()) & (y >= 0) & (y < width)).all():
        raise ConfigurationError(f"got {len(y)} labels; want a class from 0 to {width - 1} for each of {rows} rows")
    return y.astype(np.int64)


def _names(classes: Sequence[str], width: int) -> tuple[str, ...]:
    if classes and len(classes) != width:
        raise ConfigurationError(f"got {len(classes)} names of classes; want {width}")
    return tuple(str(each)[:300] for each in classes) or tuple(str(each) for each in range(width))
