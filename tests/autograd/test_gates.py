"""The hard-concrete distribution against its density, its frequencies and itself (Supp. 7)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from tinybar import Tensor
from tinybar import autograd as ag
from tinybar.autograd.gates import BETA, GAMMA, THRESHOLD, ZETA

log_alphas = st.floats(-4, 4)


def density(s, log_alpha):
    """Supp. Eq. 2: the density of the binary concrete variable, at s in (0, 1)."""
    alpha = math.exp(log_alpha)
    top = BETA * alpha * s ** (-BETA - 1) * (1 - s) ** (-BETA - 1)
    return top / (alpha * s**-BETA + (1 - s) ** -BETA) ** 2


def mass_below(z, log_alpha):
    """P(Z <= z) for 0 <= z < 1, by quadrature of Supp. Eq. 2 stretched to (gamma, zeta)."""
    s = (z - GAMMA) / (ZETA - GAMMA)
    return quad(density, 0, s, args=(log_alpha,), epsabs=1e-11, epsrel=1e-11, limit=200)[0]


def sample(log_alpha, noise):
    return ag.hard_concrete(np.full(np.shape(noise), float(log_alpha)), epsilon=noise).data


def test_constants_of_the_paper():
    assert (BETA, GAMMA, ZETA) == (2 / 3, -0.1, 1.1)
    np.testing.assert_allclose(THRESHOLD, -1.5986, atol=5e-5)


@given(log_alpha=log_alphas)
def test_the_density_is_one(log_alpha):
    total = mass_below(0.5, log_alpha) + quad(density, 0.5, 1, args=(log_alpha,), epsabs=1e-11)[0]
    np.testing.assert_allclose(total, 1, atol=1e-7)


@given(log_alpha=log_alphas, z=st.floats(0.01, 0.99))
def test_sampling_inverts_the_distribution(log_alpha, z):
    """Noise u = P(Z <= z) gives z: Supp. Eq. 4 is the inverse of the integral of Supp. Eq. 2."""
    u = mass_below(z, log_alpha)
    np.testing.assert_allclose(sample(log_alpha, u), z, atol=1e-7)


@given(log_alpha=log_alphas)
def test_the_probability_of_life_is_the_mass_above_zero(log_alpha):
    """Supp. Eq. 5 against quadrature, and against where Supp. Eq. 4 leaves 0."""
    alive = ag.probability_active(np.array(log_alpha)).item()
    np.testing.assert_allclose(alive, 1 - mass_below(0, log_alpha), atol=1e-8)
    below, above = sample(log_alpha, np.array([1 - alive - 1e-9, 1 - alive + 1e-9]))
    assert below == 0 < above


@pytest.mark.parametrize("log_alpha", [-3.0, -1.0, 0.0, 0.5, 2.0])
def test_frequencies_of_samples(log_alpha):
    """P(z = 0), P(z = 1) and P(z <= 0.3, 0.7) as counted, within five standard deviations."""
    n = 200_000
    z = sample(log_alpha, np.random.default_rng(0).random(n))
    at_most = {0.0: (z == 0).mean(), 0.3: (z <= 0.3).mean(), 0.7: (z <= 0.7).mean()}
    for point, frequency in at_most.items():
        p = mass_below(point, log_alpha)
        assert abs(frequency - p) < 5 * math.sqrt(p * (1 - p) / n)
    p = 1 - mass_below(1 - 1e-12, log_alpha)
    assert abs((z == 1).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    p = ag.probability_active(np.array(log_alpha)).item()
    assert abs((z > 0).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_mass_at_zero_where_log_alpha_is_zero():
    """0.168, by Supp. Eqs. 2 to 5 alike; the supplement's text says 0.23."""
    dead = 1 - ag.probability_active(np.array(0.0)).item()
    np.testing.assert_allclose(dead, 0.168, atol=5e-4)
    np.testing.assert_allclose(dead, 1 / (1 + math.exp(-THRESHOLD)), rtol=1e-14)
    np.testing.assert_allclose(dead, mass_below(0, 0.0), atol=1e-9)


def test_symmetry():
    """gamma and zeta lie symmetric to 1/2: P(z = 1) at log alpha is P(z = 0) at -log alpha."""
    noise = np.linspace(0.01, 0.99, 99)
    for log_alpha in (-2.0, 0.0, 0.7):
        np.testing.assert_allclose(
            sample(log_alpha, noise), 1 - sample(-log_alpha, 1 - noise), atol=1e-14
        )


@given(log_alpha=st.floats(-6, 6))
def test_at_the_mean_noise(log_alpha):
    """z = clamp(sigmoid(log_alpha / beta) (zeta - gamma) + gamma), alive iff above THRESHOLD."""
    z = sample(log_alpha, np.array(0.5)).item()
    s = 1 / (1 + math.exp(-log_alpha / BETA))
    np.testing.assert_allclose(z, min(max(s * (ZETA - GAMMA) + GAMMA, 0), 1), atol=1e-14)
    if abs(log_alpha - THRESHOLD) > 1e-9:
        assert (z > 0) == (log_alpha > THRESHOLD)
        p = ag.probability_active(np.array(log_alpha)).item()
        assert (p > 0.5) == (log_alpha > THRESHOLD)


@given(noise=st.floats(0.001, 0.999), log_alpha=st.floats(-5, 5), more=st.floats(0, 2))
def test_z_grows_with_log_alpha_and_with_the_noise(noise, log_alpha, more):
    z = sample(log_alpha, np.array(noise))
    assert 0 <= z <= 1
    assert sample(log_alpha + more, np.array(noise)) >= z
    assert sample(log_alpha, np.array(noise + (0.9995 - noise) * more / 2)) >= z


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
    p = ag.probability_active(x)
    assert (z.dtype, p.dtype) == (dtype, dtype)
    assert z.data.tolist() == [0, 0, 1, 1]
    ag.sum(z + p).backward()
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("noise", [0.0, 1.0, -0.1, 1.1, np.nan, [0.5, 0.0], [1 - 1e-9, 0.5]])
def test_noise_outside_the_open_interval(noise):
    with pytest.raises(ValueError, match="strictly inside"):
        ag.hard_concrete(np.zeros(2, np.float32), epsilon=noise)


def test_noise_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        ag.hard_concrete(np.zeros(2), epsilon=np.full((3, 2), 0.5))
