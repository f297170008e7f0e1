"""Rearrangements: each value goes where it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinybar import autograd as ag

from .common import forward_backward, seeds

shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def numbered(shape):
    return np.arange(float(np.prod(shape))).reshape(shape)


@given(data=st.data(), shape=shapes)
def test_transpose(data, shape):
    axes = data.draw(st.permutations(range(len(shape))))
    x = numbered(shape)
    y = ag.transpose(x, axes).data
    assert y.shape == tuple(shape[a] for a in axes)
    for index in np.ndindex(*shape):
        assert y[tuple(index[a] for a in axes)] == x[index]


def test_transpose_reverses_by_default():
    assert ag.transpose(np.ones((2, 3, 4))).shape == (4, 3, 2)
    with pytest.raises(ValueError, match="axes"):
        ag.transpose(np.ones((2, 3)), (0,))


@given(shape=shapes)
def test_reshape(shape):
    x = numbered(shape)
    for to in ((x.size,), shape[::-1], (1, *shape), (-1,)):
        y, (gx,), _ = forward_backward(lambda x, s=to: ag.reshape(x, s), [x])
        assert list(y.reshape(-1)) == list(x.reshape(-1))
        assert gx.shape == shape


def test_reshape_needs_as_many_elements():
    with pytest.raises(ValueError, match="reshape"):
        ag.reshape(np.ones(3), (2,))


@given(data=st.data(), shape=shapes)
def test_concatenate(data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    extents = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    parts = []
    for k, extent in enumerate(extents):
        part = list(shape)
        part[axis] = extent
        parts.append(numbered(part) + 1000 * k)
    y, gradients, _ = forward_backward(lambda *xs: ag.concatenate(xs, axis), parts)
    np.testing.assert_array_equal(y, np.concatenate(parts, axis))
    assert [gx.shape for gx in gradients] == [part.shape for part in parts]


def test_concatenate_refuses():
    with pytest.raises(ValueError, match="at least one"):
        ag.concatenate([])
    with pytest.raises(ValueError, match="dimension"):
        ag.concatenate([np.ones((2, 3)), np.ones((3, 3))])


@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), seed=seeds)
def test_pad(data, shape, seed):
    widths = [tuple(data.draw(st.integers(0, 2)) for _ in "ab") for _ in shape]
    x = np.random.default_rng(seed).uniform(1, 2, shape)
    y, (gx,), _ = forward_backward(lambda x: ag.pad(x, widths), [x])
    np.testing.assert_array_equal(y, np.pad(x, widths))
    assert gx.shape == shape


def test_pad_refuses():
    with pytest.raises(ValueError, match="negative"):
        ag.pad(np.ones(3), ((-1, 0),))
