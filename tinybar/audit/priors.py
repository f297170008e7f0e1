"""Closed forms of sparsity priors: L0 regularization, and the information bottleneck."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..nn import Gaussian, HardConcrete
from .checks import assign, closed_form, host, relative, unless

RATIOS = (0.2, 0.9, 1.5, 4.0)  # mu / sigma
SIGMA = 0.7


def gaussian(mu: Any, log_sigma: Any, keep_one: bool = False) -> Gaussian:
    """A gate with these parameters (C,), in float64 and in evaluation mode."""
    made = Gaussian(np.size(mu)).astype(np.float64).eval()
    made.keep_one = keep_one
    assign(made.mu, mu)
    assign(made.log_sigma, log_sigma)
    return made


def mean_over_noise(function: Callable[..., Any], lower: float = -12.0) -> float:
    """E[function(epsilon); epsilon > lower], epsilon ~ N(0, 1): Gauss-Legendre, 60 pieces to 12.

    function: smooth above `lower`, on arrays.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(lower, 12.0, 61)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1] - edges[0]) / 2
    epsilon = (middle[:, None] + half * nodes).ravel()
    density = np.exp(-(epsilon**2) / 2) / math.sqrt(2 * math.pi)
    return float((function(epsilon) * density) @ np.tile(half * weights, 60))


def divergence(mu: float, sigma: float, s: float) -> float:
    """KL(N(mu, sigma^2) || N(0, s^2)) = E[ln q(z) - ln p(z)], by quadrature over the noise."""

    def log_ratio(epsilon):
        z = mu + sigma * epsilon
        return math.log(s / sigma) - epsilon**2 / 2 + (z / s) ** 2 / 2

    return mean_over_noise(log_ratio)


def least_divergence(mu: float, sigma: float) -> float:
    """The least `divergence` over s, by golden-section search for ln s."""
    lower, upper, golden = -5.0, 5.0, (math.sqrt(5) - 1) / 2
    while upper - lower > 1e-7:
        left, right = upper - golden * (upper - lower), lower + golden * (upper - lower)
        if divergence(mu, sigma, math.exp(left)) < divergence(mu, sigma, math.exp(right)):
            upper = right
        else:
            lower = left
    return divergence(mu, sigma, math.exp((lower + upper) / 2))


@closed_form("gates", "L_HC is the expected number of open gates (std. errors)", "Supp. Eq. 5", 5.0)
def expected_number_of_open_gates(rng):
    """Gates that are open in a sample of a million, half of them near the threshold."""
    n = 1_000_000
    gates = HardConcrete(n).astype(np.float64).train()
    assign(gates.log_alpha, np.where(rng.random(n) < 0.5, -1.6, rng.uniform(-4, 2, n)))
    with no_grad():
        prior, is_open = gates.prior().item(), host(gates.sample()) > 0
    return abs(is_open.sum() - prior) / math.sqrt(n * is_open.mean() * (1 - is_open.mean()))


@closed_form("gates", "IB: the prior is the least divergence over its variance", "errata A4", 1e-10)
def information(rng):
    """KL(N(mu, sigma^2) || N(0, s^2)) by quadrature, minimised over s by golden section."""
    sigmas = rng.uniform(0.3, 2.0, len(RATIOS))
    mus = np.array(RATIOS) * sigmas
    found = [gaussian([m], np.log([s])).prior().item() for m, s in zip(mus, sigmas, strict=True)]
    return relative(found, [least_divergence(m, s) for m, s in zip(mus, sigmas, strict=True)])


@closed_form("gates", "IB: gradient of the prior", "errata A4", 1e-12)
def gradient_of_the_prior(rng):
    """mu / (mu^2 + sigma^2), -mu^2 / (mu^2 + sigma^2), by hand; 0 where `keep_one` clamps."""
    mu, log_sigma = rng.uniform(-1, 1, 30), rng.uniform(0.5, 1, 30)
    total = mu**2 + np.exp(2 * log_sigma)
    errors = []
    for keep_one in (False, True):
        gate = gaussian(mu, log_sigma, keep_one)
        gate.prior().backward()
        free = 1 - keep_one * (np.arange(30) == (mu / np.exp(log_sigma)).argmax())
        errors.append(relative(gate.mu.grad, free * mu / total))
        errors.append(relative(gate.log_sigma.grad, -free * mu**2 / total))
    return max(errors)


@closed_form("gates", "IB: log sigma at which a channel dies", "Dai et al. 2018", 1e-12)
def threshold(rng):
    """Gaussian.alive bisected: sigma^2 / mu^2 = 1, that is log sigma = ln mu; never for mu <= 0."""
    errors = []
    for mu in rng.uniform(0.1, 3, 5):
        alive, dead = -9.0, 9.0
        while dead - alive > 1e-13:
            middle = (alive + dead) / 2
            is_alive = gaussian([mu], [middle]).alive()[0]
            alive, dead = (middle, dead) if is_alive else (alive, middle)
        errors.append(abs(alive - math.log(mu)))
    return unless(not gaussian([-1.0, 0.0], [-9.0, -9.0]).alive().any(), max(errors))


@closed_form("gates", "IB: z at the mean noise", "Section 3.1", 1e-12)
def at_the_mean_noise(rng):
    """mu for mu > sigma, else 0."""
    mu, sigma = rng.uniform(-2, 2, 200), rng.uniform(0.01, 2, 200)
    return relative(gaussian(mu, np.log(sigma)).sample(), np.where(mu > sigma, mu, 0))


@closed_form("gates", "IB: P(z > 0), by quadrature", "Dai et al. 2018", 1e-12)
def probability(rng):
    """The density of the noise integrated above -mu / sigma."""
    ratios = np.array([-6.0, -1.0, *RATIOS])
    found = gaussian(ratios * SIGMA, np.full(6, math.log(SIGMA))).probability_open()
    expected = np.array([mean_over_noise(np.ones_like, -ratio) for ratio in ratios])
    return relative(host(found) / expected, np.ones(6))


@closed_form("gates", "IB: mean and variance of samples (std. errors)", "Dai et al. 2018", 5.0)
def moments(rng):
    """Of max(0, mu + sigma epsilon), a million samples, against quadrature."""
    n, errors = 1_000_000, []
    for ratio in RATIOS:
        gates = gaussian(np.full(n, ratio * SIGMA), math.log(SIGMA)).train()
        with no_grad():
            z = host(gates.sample())
        m1, m2, m4 = (
            mean_over_noise(lambda e, r=ratio, k=k: (SIGMA * (r + e)) ** k, -ratio)
            for k in (1, 2, 4)
        )
        errors.append(abs(z.mean() - m1) / math.sqrt((m2 - m1**2) / n))
        errors.append(abs((z**2).mean() - m2) / math.sqrt((m4 - m2**2) / n))
    return max(errors)


@closed_form("gates", "IB: initial mu and log sigma (std. errors)", "Supp. 4", 5.0)
def initialisation(rng):
    """N(1, 0.01^2) and N(-9, 0.01^2): mean and variance of 100,000 gates, all alive."""
    n, errors = 100_000, []
    made = Gaussian(n)
    for parameter, mean in ((made.mu, 1.0), (made.log_sigma, -9.0)):
        start = (host(parameter).astype(np.float64) - mean) / 0.01
        errors += [abs(start.mean()) * math.sqrt(n), abs(start.var() - 1) / math.sqrt(2 / n)]
    return unless(made.alive().all(), max(errors))
