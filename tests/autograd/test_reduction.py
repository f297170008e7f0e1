"""Sums, means, maxima."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinybar import autograd as ag
from tinybar.autograd.reduction import sum_per_channel

from .common import forward_backward, gradient, seeds


@st.composite
def problems(draw, min_side=0):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=min_side, max_side=4))
    axes = draw(
        st.one_of(
            st.none(),
            st.lists(st.integers(0, max(0, len(shape) - 1)), unique=True, max_size=len(shape)),
        )
    )
    if axes is not None:
        signs = draw(st.lists(st.booleans(), min_size=len(axes), max_size=len(axes)))
        axes = tuple(a - len(shape) if s else a for a, s in zip(axes, signs, strict=True))
        if len(axes) == 1 and draw(st.booleans()):
            axes = axes[0]
    return shape, axes, draw(st.booleans())


@given(problem=problems(), seed=seeds)
def test_sum(problem, seed):
    shape, axis, keepdims = problem
    x = np.asarray(np.random.default_rng(seed).standard_normal(shape))
    y, (gx,), _ = forward_backward(lambda x: ag.sum(x, axis, keepdims), [x])
    expected = x.sum(axis=axis, keepdims=keepdims)
    assert (y.shape, gx.shape) == (expected.shape, shape)
    np.testing.assert_allclose(y, expected, atol=1e-13)


@pytest.mark.parametrize(("fn", "plain"), [(ag.mean, np.mean), (ag.max, np.max)])
@given(problem=problems(min_side=1), seed=seeds)
def test_mean_and_max(fn, plain, problem, seed):
    shape, axis, keepdims = problem
    x = np.asarray(np.random.default_rng(seed).standard_normal(shape))
    y, (gx,), _ = forward_backward(lambda x: fn(x, axis, keepdims), [x])
    expected = plain(x, axis=axis, keepdims=keepdims)
    assert (y.shape, gx.shape) == (expected.shape, shape)
    np.testing.assert_allclose(y, expected, rtol=1e-14, atol=1e-15)


def test_ties_share_the_gradient():
    assert gradient(ag.max, [1.0, 3.0, 3.0, 2.0]).tolist() == [0, 0.5, 0.5, 0]


@pytest.mark.parametrize("fn", [ag.sum, ag.mean, ag.max])
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2)])
def test_axes_that_do_not_exist(fn, axis):
    with pytest.raises(ValueError, match="does not fit"):
        fn(np.ones((2, 3)), axis)


def test_numpys_integers_are_axes():
    assert ag.sum(np.ones((2, 3)), np.int64(1)).shape == (2,)


def test_nothing_has_no_mean_and_no_maximum():
    with pytest.raises(ValueError, match="mean over no elements"):
        ag.mean(np.ones((0, 3)))
    with pytest.raises(ValueError, match="zero-size"):
        ag.max(np.ones((0, 3)))
    assert ag.sum(np.ones((0, 3)), 0).data.tolist() == [0, 0, 0]
    assert ag.mean(np.ones((0, 3)), 1).shape == (0,)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5), seed=seeds)
def test_sum_per_channel(shape, seed):
    a = np.random.default_rng(seed).standard_normal(shape)
    leading = tuple(range(a.ndim - 1))
    np.testing.assert_allclose(sum_per_channel(a), a.sum(axis=leading), atol=1e-12)
    assert sum_per_channel(a.astype(np.float32)).dtype == np.float32


def test_the_maximum_of_nan_and_an_infinite_gradient():
    assert gradient(ag.max, [1.0, np.nan, 2.0]).tolist() == [0, 1, 0]
    gx = gradient(lambda x: ag.max(x, 0), [1.0, 3.0], np.array(np.inf))
    assert gx.tolist() == [0, np.inf]
