"""Rearrangements: each value goes where it should, each gradient the way back."""

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
    y, (gx,), gy = forward_backward(lambda x: ag.transpose(x, axes), [x])
    assert y.shape == tuple(shape[a] for a in axes)
    for index in np.ndindex(*shape):
        there = tuple(index[a] for a in axes)
        assert y[there] == x[index]
        assert gx[index] == gy[there]


def test_transpose_reverses_by_default():
    assert ag.transpose(np.ones((2, 3, 4))).shape == (4, 3, 2)
    with pytest.raises(ValueError, match="axes"):
        ag.transpose(np.ones((2, 3)), (0,))


@given(shape=shapes)
def test_reshape(shape):
    x = numbered(shape)
    for to in ((x.size,), shape[::-1], (1, *shape), (-1,)):
        y, (gx,), gy = forward_backward(lambda x, s=to: ag.reshape(x, s), [x])
        assert list(y.reshape(-1)) == list(x.reshape(-1))
        np.testing.assert_array_equal(gx, np.reshape(gy, shape))


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
    y, gradients, gy = forward_backward(lambda *xs: ag.concatenate(xs, axis), parts)
    start = 0
    for part, gx in zip(parts, gradients, strict=True):
        window = [slice(None)] * len(shape)
        window[axis] = slice(start, start + part.shape[axis])
        np.testing.assert_array_equal(y[tuple(window)], part)
        np.testing.assert_array_equal(gx, gy[tuple(window)])
        start += part.shape[axis]
    assert y.shape[axis] == start


def test_concatenate_refuses():
    with pytest.raises(ValueError, match="at least one"):
        ag.concatenate([])
    with pytest.raises(ValueError, match="dimension"):
        ag.concatenate([np.ones((2, 3)), np.ones((3, 3))])


@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), seed=seeds)
def test_pad(data, shape, seed):
    widths = [tuple(data.draw(st.integers(0, 2)) for _ in "ab") for _ in shape]
    x = np.random.default_rng(seed).uniform(1, 2, shape)
    y, (gx,), gy = forward_backward(lambda x: ag.pad(x, widths), [x])
    assert y.shape == tuple(n + b + a for n, (b, a) in zip(shape, widths, strict=True))
    assert np.count_nonzero(y) == x.size
    for index in np.ndindex(*shape):
        there = tuple(i + b for i, (b, _) in zip(index, widths, strict=True))
        assert y[there] == x[index]
        assert gx[index] == gy[there]


def test_pad_refuses():
    with pytest.raises(ValueError, match="negative"):
        ag.pad(np.ones(3), ((-1, 0),))
