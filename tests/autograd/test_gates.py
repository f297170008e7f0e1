"""The hard-concrete distribution: constants, extremes, kinks. `audit/gates.py` derives the rest."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import Tensor
from tinybar import autograd as ag
from tinybar.autograd.gates import BETA, GAMMA, THRESHOLD, ZETA


def sample(log_alpha, epsilon):
    return ag.hard_concrete(np.array(float(log_alpha)), np.array(epsilon)).item()


def test_constants_of_the_paper():
    assert (BETA, GAMMA, ZETA) == (2 / 3, -0.1, 1.1)
    np.testing.assert_allclose(THRESHOLD, -1.5986, atol=5e-5)


def test_mass_at_zero_where_log_alpha_is_zero():
    """0.168, by Supp. Eqs. 2 to 5 alike; the supplement's text says 0.23."""
    p = ag.probability_open(np.array(0.0)).item()
    np.testing.assert_allclose(1 - p, 0.168, atol=5e-4)
    np.testing.assert_allclose(1 - p, 1 / (1 + math.exp(-THRESHOLD)), rtol=1e-14)


@given(log_alpha=st.floats(-6, 6))
def test_alive_at_the_mean_noise_means_more_likely_open_than_not(log_alpha):
    if abs(log_alpha - THRESHOLD) > 1e-9:
        assert (sample(log_alpha, 0.5) > 0) == (log_alpha > THRESHOLD)
        p = ag.probability_open(np.array(log_alpha)).item()
        assert (p > 0.5) == (log_alpha > THRESHOLD)


@given(epsilon=st.floats(0.001, 0.999), log_alpha=st.floats(-5, 5), more=st.floats(0, 2))
def test_z_grows_with_log_alpha_and_with_epsilon(epsilon, log_alpha, more):
    z = sample(log_alpha, epsilon)
    assert 0 <= z <= 1
    assert sample(log_alpha + more, epsilon) >= z
    assert sample(log_alpha, epsilon + (0.9995 - epsilon) * more / 2) >= z


def test_no_gradient_where_z_is_clamped():
    x = Tensor(np.array([-8.0, 0.0, 8.0]), requires_grad=True)
    z = ag.hard_concrete(x, epsilon=0.5)
    np.testing.assert_allclose(z.data, [0, 0.5, 1], rtol=1e-15)
    z.backward(np.ones(3))
    np.testing.assert_allclose(x.grad, [0, (ZETA - GAMMA) / BETA / 4, 0], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_are_finite(dtype):
    x = Tensor(np.array([-1e3, -50, 50, 1e3], dtype), requires_grad=True)
    z = ag.hard_concrete(x, epsilon=np.array([1e-6, 1 - 1e-6, 1e-6, 1 - 1e-6]))
    p = ag.probability_open(x)
    assert (z.dtype, p.dtype) == (dtype, dtype)
    assert z.data.tolist() == [0, 0, 1, 1]
    ag.sum(z + p).backward()
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -0.1, 1.1, np.nan, [0.5, 0.0], [1 - 1e-9, 0.5]])
def test_noise_outside_the_open_interval(epsilon):
    with pytest.raises(ValueError, match="strictly inside"):
        ag.hard_concrete(np.zeros(2, np.float32), epsilon)


def test_noise_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        ag.hard_concrete(np.zeros(2), epsilon=np.full((3, 2), 0.5))
