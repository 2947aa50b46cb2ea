"""Estimators: on plain tensors against scikit-learn, on shares against themselves on plain tensors."""

import numpy as np
import pytest
import sklearn.linear_model
import torch
from sklearn.datasets import load_iris, make_classification, make_regression

import mpc
from mpc.estimators import (
    LinearRegression,
    LogisticRegression,
    MLPClassifier,
    MLPRegressor,
    Ridge,
    SoftmaxRegression,
)


def regression():
    x, y = make_regression(120, 5, n_informative=4, noise=5.0, random_state=1)
    return torch.tensor(x).float(), torch.tensor(y / y.std()).float().unsqueeze(1)


def classes():
    x, y = make_classification(160, 6, n_informative=4, random_state=2)
    return torch.tensor(x).float(), torch.tensor(y).float().unsqueeze(1)


def flowers():
    data = load_iris()
    x = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0)).float()
    return x, torch.nn.functional.one_hot(torch.tensor(data.target), 3).float()


CASES = [
    (LinearRegression(epochs=4, batch=40, lr=0.05), regression),
    (Ridge(alpha=5.0, epochs=4, batch=40, lr=0.05), regression),
    (LogisticRegression(c=0.5, epochs=4, batch=40, lr=0.05), classes),
    (SoftmaxRegression(epochs=4, batch=50, lr=0.05), flowers),
    (MLPClassifier(hidden=(8,), epochs=4, batch=40, lr=0.02), classes),
    (MLPClassifier(hidden=(8,), epochs=4, batch=50, lr=0.02), flowers),
    (MLPRegressor(hidden=(8,), alpha=0.1, epochs=4, batch=40, lr=0.01, seed=5), regression),
]


@pytest.mark.parametrize(("estimator", "data"), CASES, ids=[type(one).__name__ + f"-{d.__name__}" for one, d in CASES])
def test_shares_and_plain_tensors_agree(estimator, data):
    x, y = data()
    kind, settings = type(estimator), estimator.get_params()
    plain = kind(**settings).fit(x, y)

    def program(session):
        sx = session.share(x if session.rank == 0 else None, owner=0)
        sy = session.share(y if session.rank == 1 else None, owner=1)
        mine = kind(**settings).fit(sx, sy)
        results = {"predict": session.reveal(mine.predict(sx)), "losses": session.reveal(torch.stack(mine.losses_))}
        if hasattr(mine, "predict_proba"):
            results["proba"] = session.reveal(mine.predict_proba(sx))
        return results, mine.score(sx, sy), mine.reveal(session)

    results, score, module = mpc.simulate(3, program)[0]
    for one, other in zip(module.parameters(), plain.module_.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-2, rtol=0)
    torch.testing.assert_close(results["losses"], torch.stack(plain.losses_), atol=1e-2, rtol=0)
    assert score == pytest.approx(plain.score(x, y), abs=0.01)
    if "proba" in results:
        torch.testing.assert_close(results["proba"], plain.predict_proba(x), atol=1e-2, rtol=0)
        assert (results["predict"] == plain.predict(x)).float().mean() >= 0.99
        assert results["predict"].dtype == torch.int64
    else:
        torch.testing.assert_close(results["predict"], plain.predict(x), atol=2e-2, rtol=0)


def test_the_dealer_learns_no_score():
    x, y = regression()

    def program(session):
        sx = session.share(x if session.rank == 0 else None, owner=0)
        sy = session.share(y if session.rank == 0 else None, owner=0)
        return LinearRegression(epochs=1, batch=None).fit(sx, sy).score(sx, sy), session.reveals

    zero, one, dealer = mpc.simulate(3, program)
    assert zero[0] == one[0]
    assert dealer[0] is None
    assert zero[1] == ["score, tensor (2,) to 0,1"]


def test_linear_models_find_scikit_learns_optimum():
    x, y = regression()
    ridge = Ridge(alpha=7.0, epochs=400, batch=None, lr=0.05).fit(x, y)
    want = sklearn.linear_model.Ridge(alpha=7.0).fit(x, y.ravel())
    np.testing.assert_allclose(ridge.module_.weight.detach().numpy()[0], want.coef_, atol=1e-3)
    assert ridge.score(x, y) == pytest.approx(want.score(x, y.ravel()), abs=1e-4)
    x, y = classes()
    logistic = LogisticRegression(c=0.3, epochs=600, batch=None, lr=0.05).fit(x, y)
    want = sklearn.linear_model.LogisticRegression(C=0.3).fit(x, y.ravel())
    np.testing.assert_allclose(logistic.module_.weight.detach().numpy(), want.coef_, atol=2e-3)
    np.testing.assert_allclose(logistic.predict_proba(x).numpy(), want.predict_proba(x), atol=2e-3)


def test_perceptrons_learn():
    x, y = flowers()
    assert MLPClassifier(epochs=60, batch=50).fit(x, y).score(x, y) > 0.95
    x, y = regression()
    assert MLPRegressor(epochs=100, batch=40).fit(x, y).score(x, y) > 0.9


def test_settings_and_seeds():
    x, y = classes()
    one = MLPClassifier(hidden=(4,), epochs=2, seed=3)
    assert repr(one) == "MLPClassifier(epochs=2, batch=128, lr=0.01, seed=3, hidden=(4,), alpha=0.0)"
    torch.testing.assert_close(one.fit(x, y).decision(x), MLPClassifier(**one.get_params()).fit(x, y).decision(x))
    assert one.set_params(epochs=3).epochs == 3
    with pytest.raises(mpc.ConfigurationError, match="no setting 'depth'"):
        one.set_params(depth=2)
    with pytest.raises(mpc.ConfigurationError, match="epochs=0"):
        LinearRegression(epochs=0)


@pytest.mark.parametrize(
    ("estimator", "x", "y", "text"),
    [
        (LinearRegression(), torch.ones(3), torch.ones(3), "want .rows, columns."),
        (LinearRegression(), torch.ones(3, 2), torch.ones(4), "one target for each of 3"),
        (LogisticRegression(), torch.ones(3, 2), torch.ones(3, 3), "SoftmaxRegression"),
        (SoftmaxRegression(), torch.ones(3, 2), torch.ones(3), "one-hot"),
        (MLPClassifier(), torch.ones(3, 2), torch.ones(3, 2), "for two classes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(estimator, x, y, text):
    with pytest.raises(mpc.ConfigurationError, match=text):
        estimator.fit(x, y)


def test_mixtures_and_unfitted_estimators_are_refused():
    def program(session):
        LinearRegression().fit(
            session.share(torch.ones(3, 2) if session.rank == 0 else None, owner=0), torch.ones(3, 1)
        )

    with pytest.raises(mpc.ConfigurationError, match="a shared tensor and y a plain one"):
        mpc.simulate(3, program)
    with pytest.raises(mpc.ConfigurationError, match="call fit first"):
        LinearRegression().predict(torch.ones(3, 2))
