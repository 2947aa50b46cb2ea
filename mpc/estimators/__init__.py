"""Estimators in scikit-learn's manner, written on plain torch modules: one small file each."""

from mpc.estimators.linear import LinearRegression, Ridge
from mpc.estimators.logistic import LogisticRegression, SoftmaxRegression
from mpc.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["LinearRegression", "LogisticRegression", "MLPClassifier", "MLPRegressor", "Ridge", "SoftmaxRegression"]
