"""Linear discriminants: log-densities of Gaussian classes with one covariance, scaled."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybar.nn.discriminants import discriminants


def data(rng, n, features, classes):
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, n)]))
    centres = 3 * rng.standard_normal((classes, features))
    return (centres[labels] + rng.standard_normal((len(labels), features))), labels


def log_density(x, mu, covariance):
    """Of a Gaussian."""
    d = x - mu
    distances = np.array([row @ np.linalg.inv(covariance) @ row for row in d])
    return -(distances + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 6), st.integers(2, 4))
def test_logits_are_log_densities_of_mean_square_1(seed, n, features, classes):
    rng = np.random.default_rng(seed)
    x, labels = data(rng, n, features, classes)
    mu = np.array([x[labels == k].mean(0) for k in range(classes)])
    covariance = sum(np.outer(row, row) for row in x - mu[labels]) / len(x)
    g = features / (len(x) + features)
    variance = np.trace(covariance) / features
    covariance = (1 - g) * covariance + g * variance * np.eye(features)
    share = np.bincount(labels) / len(x)
    expected = np.stack(
        [log_density(x, mu[k], covariance) + np.log(share[k]) for k in range(classes)], 1
    )
    half = len(x) // 2
    parts = [(x[:half], labels[:half]), (x[half:], labels[half:])]
    weight, bias = discriminants(parts, classes)
    if len(x) == classes:  # every class has one image: no variance is known but its rounding
        return
    expected -= expected.mean(1, keepdims=True)
    expected /= np.sqrt((expected**2).mean())
    np.testing.assert_allclose(x @ weight + bias, expected, 1e-5, 1e-5)


def test_features_without_variance_are_told_apart_by_their_means():
    x, labels = np.repeat(np.eye(3, 4), 5, axis=0), np.repeat(np.arange(3), 5)
    weight, bias = discriminants([(x.astype(np.float32), labels)], 3)
    assert ((x @ weight + bias).argmax(1) == labels).all()


def test_more_features_than_images():
    rng = np.random.default_rng(0)
    x, labels = data(rng, 20, 200, 3)
    weight, bias = discriminants([(x, labels)], 3)
    assert ((x @ weight + bias).argmax(1) == labels).all()


def test_features_that_say_nothing():
    weight, bias = discriminants([(np.zeros((6, 4), np.float32), np.arange(6) % 3)], 3)
    assert not weight.any()
    assert np.isfinite(bias).all()
