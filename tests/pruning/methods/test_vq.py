"""Centres where filters are alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning.methods.vq import clustered


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
