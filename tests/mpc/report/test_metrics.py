"""ROC, precision, calibration and tables of classes are scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from mpc.report import metrics
from parties import ConfigurationError


def made(rows, classes, seed, places=None):
    """Labels, and probabilities that say something about them; rounded, many are equal."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=rows)
    logits = generator.normal(size=(rows, classes)) + np.eye(classes)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, p if places is None else np.round(p[:, 1], places)


@pytest.mark.parametrize("places", [16, 1, 0])
def test_two_classes_are_judged_as_by_scikit_learn(places):
    labels, p = made(150, 2, 5, places)
    found = metrics.of_probabilities(labels, p, "rows", ("no", "yes"))
    (roc,) = found.rocs
    assert roc.area == pytest.approx(reference.roc_auc_score(labels, p), abs=1e-12)
    false, true, _ = reference.roc_curve(labels, p, drop_intermediate=False)
    np.testing.assert_allclose(roc.false, false, atol=1e-12)
    np.testing.assert_allclose(roc.true, true, atol=1e-12)
    assert (roc.name, roc.positives) == ("yes", labels.sum())
    for each in found.thresholds:
        said = p >= each.at
        assert each.recall == pytest.approx(reference.recall_score(labels, said))
        if each.precision is None:
            assert not said.any()
        else:
            assert each.precision == pytest.approx(reference.precision_score(labels, said))
    assert found.numbers["Brier score"] == pytest.approx(reference.brier_score_loss(labels, p))
    assert found.numbers["accuracy"] == pytest.approx(reference.accuracy_score(labels, p > 0.5))
    assert np.array_equal(found.confusion, reference.confusion_matrix(labels, p > 0.5))
    assert sum(each.count for each in found.bins) == 150
    if places > 1:  # scikit-learn puts a number on an edge into the bin below
        observed, predicted = calibration_curve(labels, p, n_bins=10)
        some = [each for each in found.bins if each.count]
        np.testing.assert_allclose([each.observed for each in some], observed)
        np.testing.assert_allclose([each.predicted for each in some], predicted)


def test_a_long_roc_is_thinned_and_its_area_is_not():
    labels, p = made(5000, 2, 6, 16)
    (roc,) = metrics.of_probabilities(labels, p, "rows").rocs
    assert len(roc.false) <= 200
    assert (roc.false[0], roc.true[0], roc.false[-1], roc.true[-1]) == (0, 0, 1, 1)
    assert roc.area == pytest.approx(reference.roc_auc_score(labels, p), abs=1e-12)


def test_several_classes_each_against_the_rest():
    labels, p = made(400, 4, 7)
    found = metrics.of_probabilities(np.eye(4)[labels], p, "rows")
    areas = reference.roc_auc_score(labels, p, multi_class="ovr", average=None)
    np.testing.assert_allclose([each.area for each in found.rocs], areas)
    assert np.array_equal(found.confusion, reference.confusion_matrix(labels, p.argmax(axis=1)))
    hit, sure = labels == p.argmax(axis=1), p.max(axis=1)
    observed, predicted = calibration_curve(hit, sure, n_bins=10)
    some = [each for each in found.bins if each.count]
    np.testing.assert_allclose([each.observed for each in some], observed)
    np.testing.assert_allclose([each.predicted for each in some], predicted)
    assert metrics.of_probabilities(labels[labels < 3], p[labels < 3], "rows").rocs[-1].name == "2"  # none of class 3


def test_predicted_classes_and_numbers():
    labels, p = made(200, 2, 8, 16)
    guess = (p > 0.4).astype(int)
    found = metrics.of_classes(labels[:, None], guess, "rows")
    assert np.array_equal(found.confusion, reference.confusion_matrix(labels, guess))
    assert found.numbers["precision"] == pytest.approx(reference.precision_score(labels, guess))
    assert found.numbers["recall"] == pytest.approx(reference.recall_score(labels, guess))
    assert metrics.of_classes([0, 0], [0, 0], "rows").numbers == {"accuracy": 1.0}
    fit = metrics.of_numbers(labels, p[:, None], "rows").numbers
    assert fit["R²"] == pytest.approx(reference.r2_score(labels, p))
    assert fit["RMS error"] == pytest.approx(reference.root_mean_squared_error(labels, p))
    assert fit["mean absolute error"] == pytest.approx(reference.mean_absolute_error(labels, p))
    assert "R²" not in metrics.of_numbers([1.0, 1.0], [0.5, 1.0], "rows").numbers


@pytest.mark.parametrize(
    ("labels", "probabilities", "said"),
    [
        ([0, 1], [0.2, 1.7], "no probabilities"),
        ([0, 1], [[0.2, 0.3, 0.1], [0.1, 0.2, 0.7]], "no probabilities"),
        ([0, 2], [0.2, 0.7], "a class from 0 to 1 for each of 2 rows"),
        ([0, 1, 1], [0.2, 0.7], "a class from 0 to 1 for each of 2 rows"),
        ([0, 1], [0.2, float("nan")], "finite numbers"),
        ([], [], "finite numbers"),
    ],
)
def test_what_does_not_fit_is_refused_without_values(labels, probabilities, said):
    with pytest.raises(ConfigurationError, match=said) as error:
        metrics.of_probabilities(labels, probabilities, "rows")
    assert "0.7" not in str(error.value)
