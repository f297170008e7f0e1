"""The normal distribution function at its ends; its gradient and its values are in the audit."""

import math

import numpy as np

from tinybar import autograd as ag


def test_both_ends_and_beyond():
    x = ag.Tensor(np.array([-np.inf, -40.0, 0.0, 40.0, np.inf]), requires_grad=True)
    y = ag.normal_cdf(x)
    assert y.data.tolist() == [0, 0, 0.5, 1, 1]
    ag.sum(y).backward()
    assert x.grad.tolist() == [0, 0, 1 / math.sqrt(2 * math.pi), 0, 0]


def test_the_lower_tail_has_all_its_digits():
    """The first terms of the asymptotic series, whose error is below the next."""
    x = 20.0
    series = math.exp(-(x**2) / 2) / (x * math.sqrt(2 * math.pi))
    series *= 1 - 1 / x**2 + 3 / x**4 - 15 / x**6
    assert abs(ag.normal_cdf(np.array([-x])).data[0] / series - 1) < 105 / x**8


def test_dtype_and_shape():
    y = ag.normal_cdf(np.zeros((2, 0, 3), np.float32))
    assert (y.dtype, y.shape) == (np.float32, (2, 0, 3))
