"""A head for features that another task has taught: linear discriminant analysis [Fisher 1936]."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def discriminants(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(weight (F, K), bias (K,)): the logits x weight + bias of classes that are Gaussian.

    With means mu_k, one covariance S for all, and shares p_k of the features:

        logit_k(x) = t (x S^-1 mu_k - mu_k S^-1 mu_k / 2 + ln p_k)

    S is shrunk towards a multiple of the identity, the more the fewer images there are for its
    entries: (1 - g) S + g tr(S) / F I,  g = F / (N + F).   Without any variance it is I.
    t gives the logits, less their mean over k, the mean square 1. Features are not Gaussian, and
    with t = 1 a thousand of them are so sure of themselves that training would begin far off.

    batches: pairs of features (B, F) and labels (B,), below K = classes; every class has one.
    """
    n: Any = 0
    mu: Any = 0
    square: Any = 0
    for x, labels in batches:
        x, of_class = x.astype(np.float64), np.eye(classes)[:, labels]
        n, mu, square = n + of_class.sum(1, keepdims=True), mu + of_class @ x, square + x.T @ x
    mu, p, square, (_, features) = mu / n, n / n.sum(), square / n.sum(), mu.shape
    covariance = square - mu.T @ (p * mu)
    g = features / (n.sum() + features)
    variance = max(np.trace(covariance), 0) / features or 1.0
    covariance = (1 - g) * covariance + g * variance * np.eye(features)
    weight = np.linalg.solve(covariance, mu.T)
    bias = np.log(p[:, 0]) - (mu.T * weight).sum(0) / 2
    weight, bias = (a - a.mean(-1, keepdims=True) for a in (weight, bias))
    squares = (weight * (square @ weight)).sum(0) + 2 * bias * ((p * mu).sum(0) @ weight) + bias**2
    t = 1 / np.sqrt(squares.mean() or 1.0)  # all are 0 for features that are
    return t * weight, t * bias
