"""Elementwise primitives: values beside NumPy's, extremes, and the conventions at the kinks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinybar import Tensor
from tinybar import autograd as ag

from .common import forward_backward, gradient, seeds

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
broadcastable = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)

UNARY = [
    (ag.negative, np.negative, lambda x, y: -1 + 0 * x),
    (ag.exp, np.exp, lambda x, y: y),
    (ag.log, np.log, lambda x, y: 1 / x),
    (ag.sqrt, np.sqrt, lambda x, y: 0.5 / y),
    (ag.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y * (1 - y)),
    (ag.relu, lambda x: np.maximum(x, 0), lambda x, y: 1.0 * (x > 0)),
]


@pytest.mark.parametrize(("fn", "plain", "slope"), UNARY, ids=lambda f: getattr(f, "name", ""))
@given(shape=shapes, seed=seeds)
def test_functions_of_one_variable(fn, plain, slope, shape, seed):
    x = np.asarray(np.random.default_rng(seed).uniform(0.1, 3, shape))
    if fn in (ag.sigmoid, ag.relu, ag.exp):
        x = x - 1.5
    y, (gx,), gy = forward_backward(fn, [x])
    np.testing.assert_allclose(y, plain(x), rtol=1e-14)
    np.testing.assert_allclose(gx, gy * slope(x, plain(x)), rtol=1e-12)
    assert (y.shape, gx.shape) == (shape, shape)


BINARY = [
    (ag.add, np.add, lambda a, b: (1, 1)),
    (ag.subtract, np.subtract, lambda a, b: (1, -1)),
    (ag.multiply, np.multiply, lambda a, b: (b, a)),
    (ag.divide, np.divide, lambda a, b: (1 / b, -a / b**2)),
    (ag.maximum, np.maximum, lambda a, b: (1.0 * (a > b), 1.0 * (b > a))),
]


def summed_to(gradient, shape):
    """An independent way to un-broadcast: add every entry where it was read."""
    out = np.zeros(shape)
    where = np.broadcast_to(np.arange(out.size).reshape(shape), gradient.shape)
    np.add.at(out.reshape(-1), where.reshape(-1), gradient.reshape(-1))
    return out


@pytest.mark.parametrize(("fn", "plain", "slopes"), BINARY, ids=lambda f: getattr(f, "name", ""))
@given(pair=broadcastable, seed=seeds)
def test_functions_of_two_variables_broadcast(fn, plain, slopes, pair, seed):
    rng = np.random.default_rng(seed)
    a, b = (np.asarray(rng.uniform(0.5, 2, shape)) for shape in pair.input_shapes)
    y, gradients, gy = forward_backward(fn, [a, b])
    np.testing.assert_array_equal(y, plain(a, b))
    for x, gx, slope in zip((a, b), gradients, slopes(a, b), strict=True):
        assert gx.shape == x.shape
        expected = summed_to(np.broadcast_to(gy * slope, y.shape), x.shape)
        np.testing.assert_allclose(gx, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_at_the_extremes(dtype):
    x = Tensor(np.array([-np.inf, -1e3, -100, 0, 100, 1e3, np.inf], dtype), requires_grad=True)
    y = ag.sigmoid(x)
    assert y.dtype == dtype
    assert y.data[[0, 1, 3, 5, 6]].tolist() == [0, 0, 0.5, 1, 1]
    np.testing.assert_allclose(y.data[2], np.exp(dtype(-100)), rtol=1e-6)  # not rounded to 0
    y.backward(np.ones(7))
    assert np.isfinite(x.grad).all()


@given(x=hnp.arrays(float, 5, elements=st.floats(-50, 50)))
def test_sigmoid_is_symmetric(x):
    np.testing.assert_allclose(ag.sigmoid(x).data + ag.sigmoid(-x).data, 1, rtol=1e-15)


def test_relu_at_its_kink():
    assert gradient(ag.relu, [-1.0, -0.0, 0.0, 1e-300, 2.0]).tolist() == [0, 0, 0, 1, 1]


def test_clip_at_its_kinks():
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert gradient(lambda x: ag.clip(x, -1, 1), x).tolist() == [0, 1, 1, 1, 0]
    assert ag.clip(np.array(x), -1, 1).data.tolist() == [-1, -1, 0, 1, 1]
    low = ag.clip(np.float32([0.3]), np.float64(0.1), np.float64(0.2))
    assert low.dtype == np.float32


def test_clip_refuses_an_empty_interval():
    with pytest.raises(ValueError, match="lo <= hi"):
        ag.clip(np.ones(2), 1, 0)


def test_maximum_shares_ties():
    a, b = Tensor([1.0, 2.0, 3.0], requires_grad=True), Tensor([3.0, 2.0, 1.0], requires_grad=True)
    ag.maximum(a, b).backward(np.array([1.0, 1.0, 1.0]))
    assert (a.grad.tolist(), b.grad.tolist()) == ([0, 0.5, 1], [1, 0.5, 0])
    assert ag.maximum(np.float32([1]), -np.inf).dtype == np.float32


@given(pair=broadcastable, seed=seeds)
def test_where(pair, seed):
    rng = np.random.default_rng(seed)
    a, b = (np.asarray(rng.standard_normal(shape)) for shape in pair.input_shapes)
    condition = np.asarray(rng.random(pair.result_shape) < 0.5)
    y, (ga, gb), gy = forward_backward(lambda a, b: ag.where(condition, a, b), [a, b])
    np.testing.assert_array_equal(y, np.where(condition, a, b))
    np.testing.assert_allclose(ga, summed_to(np.where(condition, gy, 0), a.shape), atol=1e-12)
    np.testing.assert_allclose(gb, summed_to(np.where(condition, 0, gy), b.shape), atol=1e-12)


@pytest.mark.parametrize(
    "condition",
    [np.array([True, False]), [True, False], [1, 0], Tensor([1.0, 0.0]), Tensor([2, 0])],
)
def test_where_takes_conditions_in_every_form(condition):
    assert ag.where(condition, np.float32([1, 2]), 5).data.tolist() == [1, 5]
    assert ag.where(condition, np.float32([1, 2]), 5).dtype == np.float32


def test_log_of_zero_warns_as_numpys_does():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert ag.log(np.zeros(1)).data[0] == -np.inf
