"""Clusters where filters are alike, and what a seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning.methods.vq import clustered, k_means, scatter
from tinybar.runtime import random


@given(channels=st.integers(1, 9), kinds=st.integers(1, 4), data=st.data())
def test_no_cluster_is_empty_however_many_filters_are_alike(channels, kinds, data):
    n = data.draw(st.integers(1, channels))
    kind = np.array(
        data.draw(st.lists(st.integers(0, kinds - 1), min_size=channels, max_size=channels))
    )
    filters = np.eye(5)[:, kind]  # filters of one kind are equal
    left, right = clustered(filters, n)
    assert (right.sum(axis=1) >= 1).all()
    np.testing.assert_array_equal(right.sum(axis=0), 1)
    np.testing.assert_allclose(left.sum(axis=0), 1)
    if n >= len(set(kind)):  # each kind has a cluster at least
        np.testing.assert_allclose(filters @ left @ right, filters, atol=1e-12)


def test_filters_of_zeros():
    left, right = clustered(np.zeros((4, 3)), 2)
    assert right.shape == (2, 3)
    assert np.isfinite(left).all()


def test_clusters_are_numbered_as_they_appear():
    labels = k_means(np.array([[5.0], [0.0], [5.1], [9.0], [0.1]]), 3)
    assert labels.tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("channels", [12, 30])
def test_the_seed_decides_and_more_clusters_are_tighter(channels):
    points = np.random.default_rng(0).standard_normal((channels, 4))

    def labels(seed, n):
        random.seed(seed)
        return k_means(points, n)

    assert np.array_equal(labels(1, 5), labels(1, 5))
    errors = [scatter(points, labels(1, n), n) for n in range(1, channels + 1)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0
