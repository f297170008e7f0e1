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
    (ag.negative, np.negative),
    (ag.exp, np.exp),
    (ag.log, np.log),
    (ag.sqrt, np.sqrt),
    (ag.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    (ag.relu, lambda x: np.maximum(x, 0)),
]


@pytest.mark.parametrize(("fn", "plain"), UNARY, ids=lambda f: getattr(f, "name", ""))
@given(shape=shapes, seed=seeds)
def test_functions_of_one_variable(fn, plain, shape, seed):
    x = np.asarray(np.random.default_rng(seed).uniform(0.1, 3, shape))
    if fn in (ag.sigmoid, ag.relu, ag.exp):
        x = x - 1.5
    y, (gx,), _ = forward_backward(fn, [x])
    np.testing.assert_allclose(y, plain(x), rtol=1e-14)
    assert (y.shape, gx.shape) == (shape, shape)


BINARY = [
    (ag.add, np.add),
    (ag.subtract, np.subtract),
    (ag.multiply, np.multiply),
    (ag.divide, np.divide),
    (ag.maximum, np.maximum),
    (lambda a, b: ag.where(a > b, a, b), np.maximum),
]


@pytest.mark.parametrize(("fn", "plain"), BINARY, ids=lambda f: getattr(f, "name", ""))
@given(pair=broadcastable, seed=seeds)
def test_functions_of_two_variables_broadcast(fn, plain, pair, seed):
    """Also where an axis is empty."""
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(rng.uniform(0.5, 2, shape)) for shape in pair.input_shapes]
    y, gradients, _ = forward_backward(fn, inputs)
    np.testing.assert_array_equal(y, plain(*inputs))
    assert [gx.shape for gx in gradients] == [x.shape for x in inputs]


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


@pytest.mark.parametrize(
    "condition",
    [np.array([True, False]), [True, False], [1, 0], Tensor([1.0, 0.0]), Tensor([2, 0])],
)
def test_where_takes_conditions_of_every_type(condition):
    assert ag.where(condition, np.float32([1, 2]), 5).data.tolist() == [1, 5]
    assert ag.where(condition, np.float32([1, 2]), 5).dtype == np.float32


def test_log_of_zero_warns_as_numpys_does():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert ag.log(np.zeros(1)).data[0] == -np.inf


MASKS = [
    (ag.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
    (lambda x: ag.clip(x, -1, 1), [-2.0, 0.0, 2.0], [0, 1, 0]),
    (lambda x: ag.maximum(x, 0.0), [-1.0, 2.0], [0, 1]),
    (lambda x: ag.maximum(0.0, x), [-1.0, 2.0], [0, 1]),
    (lambda x: ag.where(np.array([True, False]), x, 0.0), [1.0, 2.0], [1, 0]),
    (lambda x: ag.where(np.array([True, False]), 0.0, x), [1.0, 2.0], [0, 1]),
    (lambda x: ag.hard_concrete(x, 0.5), [-9.0, 9.0], [0, 0]),
]


@pytest.mark.parametrize(("fn", "x", "passes"), MASKS)
@pytest.mark.parametrize("gy", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_masked_is_zero_whatever_it_is(fn, x, passes, gy):
    """Not inf times 0."""
    gx = gradient(fn, x, np.full(len(x), gy))
    np.testing.assert_array_equal(gx, np.where(np.array(passes) == 1, gy, 0))


def test_the_gradient_of_a_root_behind_a_relu():
    x = Tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        ag.sum(ag.sqrt(ag.relu(x))).backward()
    assert x.grad.tolist() == [0, 0.25]


def test_nan_passes():
    """As in PyTorch, and its gradient as there."""
    nan = float("nan")
    assert gradient(ag.relu, [nan, -1.0]).tolist() == [1, 0]
    assert gradient(lambda x: ag.clip(x, -1, 1), [nan, 0.0]).tolist() == [0, 1]
    assert gradient(lambda x: ag.maximum(x, 0.0), [nan]).tolist() == [1]
    assert gradient(lambda x: ag.maximum(nan, x), [2.0]).tolist() == [1]
    for fn in (ag.relu, lambda x: ag.clip(x, -1, 1), lambda x: ag.maximum(x, 0.0)):
        assert np.isnan(fn(np.array([nan])).data)


@pytest.mark.parametrize("bounds", [(float("nan"), 1), (0, float("nan"))])
def test_clip_refuses_bounds_that_are_no_numbers(bounds):
    with pytest.raises(ValueError, match="lo <= hi"):
        ag.clip(np.ones(2), *bounds)
