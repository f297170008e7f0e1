"""Decompositions of filters that depend on each other, or are nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning.methods.id import interpolated


@given(
    features=st.integers(1, 7),
    channels=st.integers(1, 7),
    rank=st.integers(0, 7),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_of_any_rank(features, channels, rank, seed, data):
    """What stays is itself; from the rank on nothing is lost."""
    n, rng = data.draw(st.integers(1, channels)), np.random.default_rng(seed)
    filters = rng.integers(-3, 4, (features, rank)) @ rng.integers(-3, 4, (rank, channels)) * 1.0
    left, right = interpolated(filters, n)
    np.testing.assert_array_equal(right @ left, np.eye(n))
    np.testing.assert_array_equal(left, np.eye(channels)[:, np.sort(left.argmax(axis=0))])
    if n >= np.linalg.matrix_rank(filters):
        np.testing.assert_allclose(filters @ left @ right, filters, rtol=0, atol=1e-9)
