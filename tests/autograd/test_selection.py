"""Gather and scatter-add."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import Tensor
from tinybar import autograd as ag

from .common import forward_backward, seeds


@st.composite
def problems(draw):
    shape = draw(st.tuples(*[st.integers(1, 4)] * draw(st.integers(1, 3))))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    index = draw(
        st.one_of(
            st.lists(st.integers(-n, n - 1), max_size=6),
            st.lists(st.integers(0, n - 1), max_size=n, unique=True),
            st.builds(lambda a, b: list(range(min(a, b), max(a, b))), *[st.integers(0, n)] * 2),
        )
    )
    return shape, axis, index


def entries(array, axis):
    """The array's entries along `axis` first: a view."""
    return np.moveaxis(array, axis, 0)


@given(problem=problems(), seed=seeds)
def test_take(problem, seed):
    shape, axis, index = problem
    x = np.random.default_rng(seed).standard_normal(shape)
    y = ag.take(x, index, axis).data
    assert y.shape[axis] == len(index)
    for k, i in enumerate(index):
        np.testing.assert_array_equal(entries(y, axis)[k], entries(x, axis)[i])


@given(problem=problems(), seed=seeds)
def test_scatter_add(problem, seed):
    shape, axis, index = problem
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    delta_shape = list(shape)
    delta_shape[axis] = len(index)
    delta = rng.standard_normal(delta_shape)
    kept = x.copy()
    y = ag.scatter_add(x, delta, index, axis).data
    expected = x.copy()
    for k, i in enumerate(index):
        entries(expected, axis)[i] += entries(delta, axis)[k]
    np.testing.assert_allclose(y, expected, atol=1e-13)
    np.testing.assert_array_equal(x, kept)


@given(problem=problems(), seed=seeds)
def test_gathering_is_the_transpose_of_scattering(problem, seed):
    shape, axis, index = problem
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    gathered, (gx,), delta = forward_backward(lambda x: ag.take(x, index, axis), [x])
    scattered = ag.scatter_add(np.zeros(shape), delta, index, axis).data
    np.testing.assert_allclose((gathered * delta).sum(), (x * scattered).sum(), atol=1e-12)
    np.testing.assert_allclose(gx, scattered, atol=1e-13)


@pytest.mark.parametrize(
    "index", [[2, 0], (2, 0), np.array([2, 0], np.uint8), Tensor([2, 0]), np.array([-1, -3])]
)
def test_indices_of_every_type(index):
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(ag.take(x, index).data, x[:, [2, 0]])
    y = ag.scatter_add(x, np.ones((2, 2)), index)
    np.testing.assert_array_equal(y.data, x + np.array([1, 0, 1]))


@pytest.mark.parametrize("index", [[3], [-4], [0, 5]])
def test_out_of_range(index):
    with pytest.raises(IndexError, match="out of range for axis 1"):
        ag.take(np.ones((2, 3)), index)
    with pytest.raises(IndexError, match="out of range for axis 1"):
        ag.scatter_add(np.ones((2, 3)), np.ones((2, len(index))), index)


@pytest.mark.parametrize("index", [[True, False, True], [0.5], np.array([1.0])])
def test_only_integers_are_indices(index):
    with pytest.raises(TypeError, match="integers"):
        ag.take(np.ones((2, 3)), index)


def test_a_delta_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"delta has shape \(2, 3\).*2 indices along axis 1"):
        ag.scatter_add(np.ones((2, 3)), np.ones((2, 3)), [0, 1])


def test_an_axis_that_does_not_exist():
    with pytest.raises(ValueError, match="does not fit"):
        ag.take(np.ones((2, 3)), [0], axis=2)


def test_an_index_has_one_axis():
    for index in ([[0, 1], [1, 0]], np.zeros((1, 2), int)):
        with pytest.raises(
            ValueError, match=r"sequence of integers, not an array of shape \(., 2\)"
        ):
            ag.take(np.ones((2, 3)), index)
        with pytest.raises(ValueError, match="sequence of integers"):
            ag.scatter_add(np.ones((2, 3)), np.ones((2, 2)), index)
