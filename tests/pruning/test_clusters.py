"""The numbers of clusters, and what a seed decides."""

import numpy as np
import pytest

from tinybar.pruning.clusters import k_means, scatter
from tinybar.runtime import random


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
