"""Softmax and its relatives: values, extremes, identities, and what does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinybar import Tensor
from tinybar import autograd as ag

from .common import forward_backward, seeds


@st.composite
def problems(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    return shape, draw(st.integers(-len(shape), len(shape) - 1))


@given(problem=problems(), seed=seeds)
def test_values(problem, seed):
    shape, axis = problem
    x = np.random.default_rng(seed).standard_normal(shape)
    total = np.exp(x).sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(ag.softmax(x, axis).data, np.exp(x) / total, rtol=1e-13)
    np.testing.assert_allclose(ag.log_softmax(x, axis).data, x - np.log(total), atol=1e-13)
    np.testing.assert_allclose(ag.logsumexp(x, axis).data, np.log(total).squeeze(axis), atol=1e-13)


@given(
    x=hnp.arrays(float, (3, 4), elements=st.floats(-1e3, 1e3)),
    shift=st.sampled_from([-1e3, 0, 1e3]),
)
def test_extreme_logits(x, shift):
    """Finite, and the same wherever the logits lie: only differences matter."""
    x = x + shift
    y, (gx,), _ = forward_backward(ag.softmax, [x])
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-12)
    assert np.isfinite(gx).all()
    logy = ag.log_softmax(x).data
    assert np.isfinite(logy).all()
    np.testing.assert_allclose(np.exp(logy), y, atol=1e-12)
    np.testing.assert_allclose(ag.softmax(x - shift).data, y, atol=1e-9)
    bound = ag.logsumexp(x).data
    assert (x.max(-1) <= bound).all()
    assert (bound <= x.max(-1) + np.log(4) + 1e-9).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_class_that_is_ruled_out(dtype):
    """A logit of -inf: probability 0, no gradient, no nan."""
    x = np.array([[-np.inf, 0, 1e3], [0, -np.inf, 0]], dtype)
    y, (gx,), _ = forward_backward(ag.softmax, [x])
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[0, 0, 1], [0.5, 0, 0.5]])
    assert np.isfinite(gx).all()
    assert gx[0, 0] == gx[1, 1] == 0
    np.testing.assert_allclose(ag.logsumexp(x).data, [1e3, np.log(2)], rtol=1e-6)
    assert ag.log_softmax(x).data[0, 0] == -np.inf
    y, (gx,), _ = forward_backward(lambda x: ag.cross_entropy(x, np.array([2, 0])), [x])
    np.testing.assert_allclose(y, np.log(2) / 2, rtol=1e-6)
    assert np.isfinite(gx).all()
    target = np.array([[0, 0, 1], [1, 0, 0]], dtype)
    np.testing.assert_allclose(ag.cross_entropy(x, target).data, y, rtol=1e-6)


def test_nothing_left_sums_to_nothing():
    assert ag.logsumexp(np.array([-np.inf, -np.inf])).data == -np.inf
    assert ag.logsumexp(np.array([np.inf, 1e3])).data == np.inf


@given(n=st.integers(1, 4), k=st.integers(1, 4), seed=seeds)
def test_cross_entropy(n, k, seed):
    """-(1/N) sum_nk p_nk ln softmax(x)_nk; labels stand for their one-hot matrix."""
    rng = np.random.default_rng(seed)
    x, p, labels = rng.standard_normal((n, k)), rng.random((n, k)), rng.integers(0, k, n)
    log_q = x - np.log(np.exp(x).sum(-1, keepdims=True))
    for target, weights in ((p, p), (labels, np.eye(k)[labels])):
        y = ag.cross_entropy(x, target)
        np.testing.assert_allclose(y.data, -(weights * log_q).sum() / n, rtol=1e-12, atol=1e-14)


@given(n=st.integers(1, 4), k=st.integers(2, 5))
def test_equal_logits_cost_the_logarithm_of_their_number(n, k):
    y = ag.cross_entropy(np.zeros((n, k)), np.zeros(n, int))
    np.testing.assert_allclose(y.data, np.log(k), rtol=1e-14)


@pytest.mark.parametrize(
    "labels",
    [[1, 0], (1, 0), np.array([1, 0], np.uint8), Tensor([1, 0]), np.array([[0, 1], [1, 0]])],
)
def test_targets_of_every_type(labels):
    logits = Tensor(np.float32([[0, 1], [3, 0]]), requires_grad=True)
    y = ag.cross_entropy(logits, labels)
    assert y.dtype == np.float32
    np.testing.assert_allclose(
        y.data, (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(-3))) / 2, rtol=1e-6
    )
    y.backward()
    assert logits.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("logits", "target", "error", "text"),
    [
        (np.ones(3), np.zeros(3, int), ValueError, r"logits \(N, K\)"),
        (np.ones((0, 3)), np.zeros(0, int), ValueError, r"logits \(N, K\)"),
        (np.ones((2, 3)), np.zeros(3, int), ValueError, r"labels \(2,\)"),
        (np.ones((2, 3)), np.ones((2, 2)), ValueError, "target has shape"),
        (np.ones((2, 3)), np.zeros(2), TypeError, "labels must be integers"),
        (np.ones((2, 3)), np.array([0, 3]), ValueError, r"lie in 0\.\.2, got 0\.\.3"),
        (np.ones((2, 3)), np.array([-1, 0]), ValueError, r"got -1\.\.0"),
    ],
)
def test_targets_that_do_not_fit(logits, target, error, text):
    with pytest.raises(error, match=text):
        ag.cross_entropy(logits, target)


@pytest.mark.parametrize("shift", [0, 1e4, 1e6, -1e6])
def test_only_differences_count_however_large_the_logits(shift):
    """In float32 the logarithm of the sum was rounded to the precision of the largest logit."""
    x = np.float32([[0, 0, -1]]) + np.float32(shift)
    log_q = [-0.8619948, -0.8619948, -1.8619948]
    np.testing.assert_allclose(ag.cross_entropy(x, np.array([0])).data, 0.8619948, rtol=3e-7)
    np.testing.assert_allclose(ag.log_softmax(x).data, [log_q], rtol=3e-7)
    np.testing.assert_allclose(ag.softmax(x).data, np.exp([log_q]), rtol=3e-7)
    soft = ag.cross_entropy(x, np.float32([[0.5, 0.25, 0.25]])).data
    np.testing.assert_allclose(soft, 0.8619948 + 0.25, rtol=3e-7)


@pytest.mark.parametrize("x", [[np.inf, 1, 2], [np.inf, np.inf], [-np.inf, -np.inf], [np.nan, 1]])
def test_what_is_not_defined_is_nan_in_every_class(x):
    for fn in (ag.softmax, ag.log_softmax):
        y, (gx,), _ = forward_backward(fn, [np.array(x, float)])
        assert np.isnan(y).all()
        assert np.isnan(gx).all()


@pytest.mark.parametrize("axis", [None, (0, 1), (1,), (-1, 0), ()])
def test_logsumexp_over_several_axes(axis):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    y, (gx,), gy = forward_backward(lambda x: ag.logsumexp(x, axis), [x])
    total = np.exp(x).sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(y, np.log(np.exp(x).sum(axis=axis)), atol=1e-14)
    np.testing.assert_allclose(gx, gy.reshape(total.shape) * np.exp(x) / total, atol=1e-14)
