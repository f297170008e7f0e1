"""Layers: gates on parameters with their gradients, modes, initialisation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn
from tinybar.runtime import random

RNG = np.random.default_rng


def tensor(rng, *shape) -> tb.Tensor:
    return tb.Tensor(rng.standard_normal(shape), requires_grad=True)


def gate_values(rng, channels: int) -> tb.Tensor:
    """z in [0, 1] with some exact zeros and ones, as a leaf."""
    z = np.clip(rng.uniform(-0.3, 1.3, channels), 0, 1)
    return tb.Tensor(z, requires_grad=True)


def gradients(output: tb.Tensor, leaves: list, cotangent: np.ndarray) -> list[np.ndarray]:
    for leaf in leaves:
        leaf.grad = None
    output.backward(cotangent)
    return [leaf.grad for leaf in leaves]


def assert_same(first, second, leaves, cotangent):
    """Equal values, and equal gradients for every leaf: two ways to compute one function."""
    one, two = first(), second()
    np.testing.assert_allclose(one.data, two.data, rtol=1e-12, atol=1e-12)
    expected = gradients(two, leaves, cotangent)
    found = gradients(one, leaves, cotangent)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=st.sampled_from([1, 3, (1, 3)]),
    stride=st.sampled_from([1, 2]),
    bias=st.booleans(),
)
def test_a_gate_on_the_weight_is_a_gate_on_the_output(seed, kernel, stride, bias):
    rng = RNG(seed)
    conv = nn.Conv2d(3, 4, kernel, stride, padding=1, bias=bias).astype(np.float64)
    if bias:
        conv.bias.data[...] = rng.standard_normal(4)
    x, z = tensor(rng, 2, 5, 4, 3), gate_values(rng, 4)
    shape = conv(x).shape
    leaves = [x, z, *conv.parameters()]
    assert_same(lambda: conv(x, z), lambda: conv(x) * z, leaves, rng.standard_normal(shape))


@given(seed=st.integers(0, 2**32 - 1), training=st.booleans())
def test_a_gate_on_gamma_and_beta_is_a_gate_behind_the_relu(seed, training):
    rng = RNG(seed)
    bn = nn.BatchNorm2d(4).astype(np.float64).train(training)
    bn.gamma.data[...], bn.beta.data[...] = rng.standard_normal((2, 4))
    bn.running_mean[...], bn.running_var[...] = rng.standard_normal(4), rng.uniform(0.5, 2, 4)
    x, z = tensor(rng, 3, 2, 3, 4), gate_values(rng, 4)
    z.data[...] = np.where(z.data == 0, 1e-3, z.data)  # relu's kink: the next test takes z = 0
    running = bn.running_mean.copy(), bn.running_var.copy()

    def with_gate_inside():
        bn.running_mean[...], bn.running_var[...] = running
        return bn.relu(x, z)

    def with_gate_behind():
        bn.running_mean[...], bn.running_var[...] = running
        return ag.relu(bn(x)) * z

    leaves = [x, z, bn.gamma, bn.beta]
    assert_same(with_gate_inside, with_gate_behind, leaves, rng.standard_normal(x.shape))


def test_a_closed_gate_closes_what_is_behind_the_relu():
    bn = nn.BatchNorm2d(3)
    bn.beta.data[...] = 2
    z = tb.Tensor(np.array([0, 1, 0.5], np.float32), requires_grad=True)
    y = bn.relu(tb.Tensor(RNG(0).standard_normal((8, 2, 2, 3)).astype(np.float32)), z)
    assert (y.data[..., 0] == 0).all()
    assert (y.data[..., 1:] > 0).any()


def test_shapes_of_a_convolution():
    conv = nn.Conv2d(3, 5, (1, 3))
    assert (conv.kernel, conv.c_in, conv.c_out, conv.bias) == ((1, 3), 3, 5, None)


def test_evaluation_does_not_change_the_running_statistics():
    bn = nn.BatchNorm2d(2).eval()
    before = bn.state_dict()
    for normalise in (bn, bn.relu):
        normalise(tb.Tensor(RNG(0).standard_normal((2, 3, 3, 2)).astype(np.float32)))
    assert all(np.array_equal(before[name], a) for name, a in bn.state_dict().items())


def test_linear():
    rng = RNG(0)
    linear = nn.Linear(4, 3)
    linear.bias.data[...] = [1, 2, 3]
    x = rng.standard_normal((5, 4)).astype(np.float32)
    expected = x @ linear.weight.data + linear.bias.data
    np.testing.assert_allclose(linear(tb.Tensor(x)).data, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "variance"),
    [
        (lambda: nn.Conv2d(32, 64, 3).weight, 2 / (9 * 32)),
        (lambda: nn.Conv2d(128, 256, 1).weight, 2 / 128),
        (lambda: nn.Linear(256, 100).weight, 1 / 256),
        (lambda: nn.Parameter(nn.kaiming_normal((200, 200), 50, gain=3.0)), 9 / 50),
    ],
)
def test_kaiming_variance(weight, variance):
    draws = weight().data
    # n draws: the sample variance has relative standard deviation sqrt(2/n); five of them.
    bound = 5 * math.sqrt(2 / draws.size)
    assert draws.dtype == np.float32
    assert abs(draws.var() / variance - 1) < bound
    assert abs(draws.mean()) < 5 * math.sqrt(variance / draws.size)


def test_initialisation_follows_the_seed():
    def weights(seed):
        random.seed(seed)
        return nn.Conv2d(3, 4, 3).weight.data

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))
    assert not np.array_equal(nn.Linear(5, 4).weight.data, nn.Linear(5, 4).weight.data)
