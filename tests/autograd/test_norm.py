"""Batch norm: values, running statistics, precision, and what does not fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.launching import ended, launch, needs_mpi

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


@given(shape=shapes, seed=seeds, momentum=st.floats(0, 1), eps=st.sampled_from([1e-5, 1e-3]))
def test_training(shape, seed, momentum, eps):
    """By the batch's own statistics; the running ones move by `momentum`, the variance unbiased."""
    x, gamma, beta, mean, var = draw(shape, seed)
    old_mean, old_var = mean.copy(), var.copy()
    y = ag.batch_norm(x, gamma, beta, mean, var, True, momentum, eps).data
    axes, close = (0, 1, 2), {"rtol": 1e-10, "atol": 1e-10}
    xh = (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps)
    np.testing.assert_allclose(y, gamma * xh + beta, **close)
    moved = (1 - momentum) * old_mean + momentum * x.mean(axes)
    np.testing.assert_allclose(mean, moved, **close)
    moved = (1 - momentum) * old_var + momentum * x.var(axes, ddof=1)
    np.testing.assert_allclose(var, moved, **close)


@given(shape=shapes, seed=seeds, eps=st.sampled_from([1e-5, 1e-3]))
def test_evaluation(shape, seed, eps):
    """By the running statistics, which stay."""
    x, gamma, beta, mean, var = draw(shape, seed)
    kept = mean.copy(), var.copy()
    y = ag.batch_norm(x, gamma, beta, mean, var, training=False, eps=eps).data
    xh = (x - mean) / np.sqrt(var + eps)
    np.testing.assert_allclose(y, gamma * xh + beta, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal((mean, var), kept)


def test_later_training_does_not_change_a_gradient_in_evaluation():
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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [ag.batch_norm, ag.batch_norm_relu])
def test_a_gate_in_float32_is_one_on_gamma_and_beta(norm, training):
    """To rounding, with its gradient; and a closed channel is 0."""
    x, gamma, beta, mean, var = draw((16, 8, 8, 6), 0, np.float32)
    gate = np.array([0, 1e-3, 0.3, 0.8, 1, 1.5], np.float32)

    def inside(x, gamma, beta, gate):
        return norm(x, gamma, beta, mean.copy(), var.copy(), training, gate=gate)

    def outside(x, gamma, beta, gate):
        return norm(x, gamma * gate, beta * gate, mean.copy(), var.copy(), training)

    y, gradients, gy = forward_backward(inside, [x, gamma, beta, gate])
    expected, others, _ = forward_backward(outside, [x, gamma, beta, gate], gy)
    assert not y[..., 0].any()
    for got, want in zip([y, *gradients], [expected, *others], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * abs(want).max())


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
    """As in a network whose gates are all closed."""
    none = np.ones(0)
    y, (gx, *_), _ = forward_backward(
        lambda *a: norm(*a, none, none, training=training), [np.ones((2, 3, 3, 0)), none, none]
    )
    assert y.shape == gx.shape == (2, 3, 3, 0)


@pytest.mark.parametrize("running", [[0.0, 0.0, 0.0], np.zeros(3, int)])
def test_running_statistics_are_arrays_that_can_be_updated(running):
    x, one = np.ones((2, 3)), np.ones(3)
    for arrays, name in (((running, one), "running_mean"), ((one, running), "running_var")):
        with pytest.raises(
            ValueError, match=f"{name} has shape .* array of floating-point numbers"
        ):
            ag.batch_norm(x, one, one, *arrays, training=True)


def test_shapes_that_do_not_fit():
    x, one = np.ones((2, 3)), np.ones(3)
    for i, name in enumerate(["gamma", "beta", "running_mean", "running_var"]):
        arrays = [one] * 4
        arrays[i] = np.ones(2)
        with pytest.raises(ValueError, match=f"{name} has shape"):
            ag.batch_norm(x, *arrays, training=False)
    with pytest.raises(ValueError, match=r"gate has shape \(2,\)"):
        ag.batch_norm(x, one, one, one, one, training=False, gate=np.ones(2))
    with pytest.raises(ValueError, match="two values per channel"):
        ag.batch_norm(np.ones((1, 1, 1, 3)), one, one, one, one, training=True)


@needs_mpi
@pytest.mark.parametrize("n", [2, 3])
def test_of_a_batch_that_processes_share_out(n):
    script = Path(__file__).with_name("norm_on_ranks.py")
    assert ended(launch(n, script)) == (0, "40 cases\n", "")
