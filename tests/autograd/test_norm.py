"""Batch norm: values, running statistics, and gradients from the textbook's formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import Tensor
from tinybar import autograd as ag

from .common import forward_backward, seeds

shapes = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))


def draw(shape, seed, dtype=float):
    rng = np.random.default_rng(seed)
    c = shape[-1]
    x = (2 * rng.standard_normal(shape) + 3).astype(dtype)
    gamma, beta, mean = (rng.standard_normal(c).astype(dtype) for _ in range(3))
    return x, gamma, beta, mean, rng.uniform(0.5, 2, c).astype(dtype)


@given(shape=shapes, seed=seeds, momentum=st.floats(0, 1))
def test_training(shape, seed, momentum):
    x, gamma, beta, mean, var = draw(shape, seed)
    old_mean, old_var = mean.copy(), var.copy()
    y, (gx, ggamma, gbeta), gy = forward_backward(
        lambda *a: ag.batch_norm(*a, mean, var, training=True, momentum=momentum, eps=1e-3),
        [x, gamma, beta],
    )
    axes, m = (0, 1, 2), x[..., 0].size
    s = np.sqrt(x.var(axes) + 1e-3)
    xh = (x - x.mean(axes)) / s
    np.testing.assert_allclose(y, gamma * xh + beta, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gbeta, gy.sum(axes), atol=1e-10)
    np.testing.assert_allclose(ggamma, (gy * xh).sum(axes), atol=1e-10)
    # The Jacobian written out: dxh_i/dx_j = (delta_ij - 1/m - xh_i xh_j / m) / s.
    flat, g = xh.reshape(m, -1), gy.reshape(m, -1)
    for c in range(x.shape[-1]):
        jacobian = np.eye(m) - 1 / m - np.outer(flat[:, c], flat[:, c]) / m
        expected = gamma[c] / s[c] * (jacobian.T @ g[:, c])
        np.testing.assert_allclose(gx.reshape(m, -1)[:, c], expected, atol=1e-9)
    np.testing.assert_allclose(
        mean, (1 - momentum) * old_mean + momentum * x.mean(axes), rtol=1e-10, atol=1e-12
    )
    unbiased = x.var(axes, ddof=1)
    np.testing.assert_allclose(
        var, (1 - momentum) * old_var + momentum * unbiased, rtol=1e-10, atol=1e-12
    )


@given(shape=shapes, seed=seeds)
def test_evaluation(shape, seed):
    x, gamma, beta, mean, var = draw(shape, seed)
    kept = mean.copy(), var.copy()
    y, (gx, ggamma, gbeta), gy = forward_backward(
        lambda *a: ag.batch_norm(*a, mean, var, training=False), [x, gamma, beta]
    )
    xh = (x - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(y, gamma * xh + beta, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gx, gamma / np.sqrt(var + 1e-5) * gy, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ggamma, (gy * xh).sum((0, 1, 2)), atol=1e-10)
    np.testing.assert_allclose(gbeta, gy.sum((0, 1, 2)), atol=1e-10)
    np.testing.assert_array_equal(mean, kept[0])
    np.testing.assert_array_equal(var, kept[1])


def test_the_evaluations_pullback_does_not_see_later_training():
    x, gamma, beta, mean, var = draw((4, 2, 2, 3), 0)
    gradients = []
    for train_between in (False, True):
        mean2, var2 = mean.copy(), var.copy()
        t = [Tensor(a, requires_grad=True) for a in (x, gamma, beta)]
        y = ag.batch_norm(*t, mean2, var2, training=False)
        if train_between:
            ag.batch_norm(x + 5, gamma, beta, mean2, var2, training=True)
        y.backward(np.ones(y.shape))
        gradients.append([a.grad for a in t])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("training", [True, False])
def test_float32_stays_and_is_accurate(training):
    """Also far from 0, where E x^2 - (E x)^2 would lose all digits."""
    x, gamma, beta, mean, var = draw((16, 16, 16, 8), 0)
    x = x + 500
    results = []
    for dtype in (np.float64, np.float32):
        a = [v.astype(np.float32).astype(dtype) for v in (x, gamma, beta)]
        running = mean.astype(dtype), var.astype(dtype)
        y, gradients, _ = forward_backward(
            lambda *t, r=running: ag.batch_norm(*t, *r, training=training), a
        )
        assert {v.dtype for v in [y, *gradients, *running]} == {np.dtype(dtype)}
        results.append([y, *gradients, *running])
    for high, low in zip(*results, strict=True):
        np.testing.assert_allclose(low, high, atol=2e-4 * abs(high).max())


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1].copy()[::-1]])
def test_layout_does_not_matter(layout):
    x, gamma, beta, *_ = draw((3, 4, 5, 2), 0)
    results = []
    for array in (x, layout(x)):
        running = np.zeros(2), np.ones(2)
        results.append(
            forward_backward(
                lambda *a, r=running: ag.batch_norm(*a, *r, training=True), [array, gamma, beta]
            )[:2]
        )
    (y, gradients), (y2, gradients2) = results
    for expected, got in zip([y, *gradients], [y2, *gradients2], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_a_constant_channel_becomes_beta():
    y = ag.batch_norm(
        np.full((4, 2, 2, 1), 7.0), np.ones(1), np.array([3.0]), np.zeros(1), np.ones(1), True
    )
    np.testing.assert_allclose(y.data, 3)


def test_an_empty_batch_in_evaluation():
    y, (gx, ggamma, _), _ = forward_backward(
        lambda *a: ag.batch_norm(*a, np.zeros(3), np.ones(3), training=False),
        [np.ones((0, 2, 2, 3)), np.ones(3), np.ones(3)],
    )
    assert y.shape == gx.shape == (0, 2, 2, 3)
    assert ggamma.tolist() == [0, 0, 0]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [ag.batch_norm, ag.batch_norm_relu])
def test_no_channel_at_all(norm, training):
    """As in a gated network that drew all features of a signal closed."""
    none = np.ones(0)
    y, (gx, *_), _ = forward_backward(
        lambda *a: norm(*a, none, none, training=training), [np.ones((2, 3, 3, 0)), none, none]
    )
    assert y.shape == gx.shape == (2, 3, 3, 0)


def test_what_does_not_fit_is_said():
    x, one = np.ones((2, 3)), np.ones(3)
    for i, name in enumerate(["gamma", "beta", "running_mean", "running_var"]):
        arrays = [one] * 4
        arrays[i] = np.ones(2)
        with pytest.raises(ValueError, match=f"{name} has shape"):
            ag.batch_norm(x, *arrays, training=False)
    with pytest.raises(ValueError, match="two values per channel"):
        ag.batch_norm(np.ones((1, 1, 1, 3)), one, one, one, one, training=True)
