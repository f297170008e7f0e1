"""Closed forms of the gates: the hard-concrete distribution (Supp. 7)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import autograd as ag
from ..autograd import no_grad
from ..nn import HardConcrete
from .checks import assign, closed_form, gate, host, relative, tensor, unless

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # as printed in Supp. 7.1, not imported
LOG_ALPHAS = (-3.0, -1.2, 0.0, 0.7, 2.5)


# --- the distribution as the supplement has it ----------------------------------------------------


def logistic(x: Any) -> Any:
    """1 / (1 + e^-x), for |x| far below 700."""
    return 1 / (1 + np.exp(-x))


def density(s: Any, rest: Any, log_alpha: float) -> Any:
    """q_BC(s) = beta alpha s^(-beta-1) (1-s)^(-beta-1) / (alpha s^-beta + (1-s)^-beta)^2.

    Supp. Eq. 2. rest: 1 - s, given apart because near s = 1 the difference has no digits left.
    """
    alpha = math.exp(log_alpha)
    top = BETA * alpha * s ** (-BETA - 1) * rest ** (-BETA - 1)
    return top / (alpha * s**-BETA + rest**-BETA) ** 2


def distribution(s: Any, log_alpha: Any) -> Any:
    """Q_BC(s) = sigmoid((ln s - ln(1 - s)) beta - ln alpha)   (Supp. Eq. 3)."""
    return logistic((np.log(s) - np.log1p(-s)) * BETA - log_alpha)


def unstretched(z: Any) -> Any:
    """The s in (0, 1) that is stretched to z in (gamma, zeta)."""
    return (z - GAMMA) / (ZETA - GAMMA)


def mass(lower: float, upper: float, log_alpha: float) -> float:
    """The integral of Supp. Eq. 2 over logit s from `lower` to `upper`: Gauss-Legendre, 120 pieces.

    In u = logit s the integrand is smooth, ds = s (1 - s) du, and beyond |u| = 70 nothing is left.
    """
    nodes, weights = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(lower, upper, 121)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1] - edges[0]) / 2
    u = (middle[:, None] + half * nodes).ravel()
    s, rest = logistic(u), logistic(-u)
    return float((density(s, rest, log_alpha) * s * rest) @ np.tile(half * weights, 120))


def logit(s: float) -> float:
    """ln(s / (1 - s))."""
    return math.log(s) - math.log1p(-s)


# --- the checks -----------------------------------------------------------------------------------


@closed_form("gates", "density = derivative of the distribution", "Supp. Eq. 2, 3", 1e-6)
def density_is_the_derivative(rng):
    """Central differences of Supp. Eq. 3 on 181 points, h = 1e-5."""
    s, h, errors = np.linspace(0.05, 0.95, 181), 1e-5, []
    for log_alpha in LOG_ALPHAS:
        slope = (distribution(s + h, log_alpha) - distribution(s - h, log_alpha)) / (2 * h)
        errors.append(relative(slope / density(s, 1 - s, log_alpha), np.ones_like(s)))
    return max(errors)


@closed_form("gates", "density integrates to 1", "Supp. Eq. 2", 1e-12)
def density_integrates_to_one(rng):
    """Gauss-Legendre quadrature."""
    return max(abs(mass(-70, 70, log_alpha) - 1) for log_alpha in LOG_ALPHAS)


@closed_form("gates", "P(z > 0), from the distribution", "Supp. Eq. 5", 1e-12)
def probability_from_the_distribution(rng):
    """1 - Supp. Eq. 3 at the point that is stretched to 0."""
    log_alpha = rng.uniform(-8, 8, 100)
    found = gate(log_alpha).probability_open()
    return relative(found, 1 - distribution(unstretched(0), log_alpha))


@closed_form("gates", "P(z > 0), by quadrature", "Supp. Eq. 5", 1e-10)
def probability_by_quadrature(rng):
    """Supp. Eq. 2 integrated over the s that are stretched above 0."""
    found = gate(LOG_ALPHAS).probability_open()
    return relative(found, [mass(logit(unstretched(0)), 70, x) for x in LOG_ALPHAS])


@closed_form("gates", "sampled frequencies (std. errors)", "Supp. Eq. 4", 5.0)
def sampled_frequencies(rng):
    """z = 0, 0 < z < 1, z = 1 in a million samples of HardConcrete, against Supp. Eq. 3."""
    n, errors = 1_000_000, []
    sampler = HardConcrete(n).astype(np.float64).train()
    for log_alpha in (-2.0, 0.0, 1.5):
        assign(sampler.log_alpha, log_alpha)
        with no_grad():
            z = sampler.sample().data
        found = np.array([float((z == 0).mean()), 0, float((z == 1).mean())])
        found[1] = float(((z > 0) & (z < 1)).mean())
        low, high = (distribution(unstretched(end), log_alpha) for end in (0, 1))
        expected = np.array([low, high - low, 1 - high])
        errors.append(np.abs(found - expected) / np.sqrt(expected * (1 - expected) / n))
    return np.max(errors)


@closed_form("gates", "samples are the inverse of the distribution", "Supp. Eq. 4", 1e-12)
def samples_invert_the_distribution(rng):
    """Supp. Eq. 3 of z gives epsilon back; z is 0 or 1 where epsilon is beyond its ends."""
    log_alpha, epsilon = rng.uniform(-4, 4, 4000), rng.uniform(0.001, 0.999, 4000)
    z = host(ag.hard_concrete(tensor(log_alpha), epsilon=tensor(epsilon)))
    low, high = (distribution(unstretched(end), log_alpha) for end in (0.0, 1.0))
    inside = (epsilon > low) & (epsilon < high)
    clamped = (z[epsilon <= low] == 0).all() and (z[epsilon >= high] == 1).all()
    back = distribution(unstretched(z[inside]), log_alpha[inside])
    return unless(clamped and inside.sum() > 1000, relative(back, epsilon[inside]))


@closed_form("gates", "z at the mean noise", "Section 3.1", 1e-12)
def z_at_the_mean_noise(rng):
    """HardConcrete in evaluation: Supp. Eq. 4 with 1/2, in hyperbolic tangents."""
    log_alpha = rng.uniform(-5, 5, 200)
    s = (1 + np.tanh(log_alpha / (2 * BETA))) / 2
    return relative(gate(log_alpha).sample(), np.clip(1.2 * s - 0.1, 0, 1))


@closed_form("gates", "log alpha at which a channel dies", "Section 3.3, Eq. 4", 1e-12)
def threshold(rng):
    """HardConcrete.alive bisected; E[z] = 0 read as z(1/2) = 0 means -(2/3) ln 11 = -1.5986."""
    alive, dead = 0.0, -10.0
    while alive - dead > 1e-13:
        middle = (alive + dead) / 2
        alive, dead = (middle, dead) if gate([middle]).alive()[0] else (alive, middle)
    return unless(abs(alive + 1.5986) < 5e-5, abs(alive + 2 / 3 * math.log(11)))


@closed_form("gates", "gradient of L_HC = p (1 - p)", "Supp. Eq. 5", 1e-12)
def gradient_of_the_sparsity_loss(rng):
    """p from Supp. Eq. 3, the gradient from the tape; `keep_one` clamps one entry."""
    log_alpha = rng.uniform(-6, -0.5, 50)
    p = 1 - distribution(unstretched(0), log_alpha)
    free, kept = gate(log_alpha), gate(log_alpha, keep_one=True)
    for each in (free, kept):
        ag.sum(each.probability_open()).backward()
    raised = np.arange(50) == log_alpha.argmax()  # to a constant: no slope
    return max(
        relative(free.log_alpha.grad, p * (1 - p)),
        relative(kept.log_alpha.grad, np.where(raised, 0, p * (1 - p))),
    )


@closed_form("gates", "keep_one keeps the best channel", "Section 4.1", 1e-12)
def kept_channel(rng):
    """All log alphas far below the threshold: one channel is alive, at log alpha 0 (z = 1/2)."""
    log_alpha = rng.uniform(-9, -3, 20)
    best = np.arange(20) == log_alpha.argmax()
    kept, lost = gate(log_alpha, keep_one=True), gate(log_alpha)
    right = (kept.alive() == best).all() and not lost.alive().any()
    p = np.where(best, 1 - distribution(unstretched(0), 0.0), 0)
    found = np.where(best, host(kept.probability_open()), 0)
    return unless(right, max(relative(kept.sample(), 0.5 * best), relative(found, p)))


@closed_form("gates", "initial log alpha is U(0, 0.01) (std. errors)", "Supp. 4", 5.0)
def initialisation(rng):
    """100,000 gates: range, mean and variance; all of them alive."""
    n = 100_000
    made = HardConcrete(n)
    start = host(made.log_alpha).astype(np.float64)
    mean = abs(start.mean() - 0.005) / (0.01 / math.sqrt(12 * n))
    variance = abs(start.var() / (1e-4 / 12) - 1) / math.sqrt(0.8 / n)  # kurtosis of U is 1.8
    fits = start.min() >= 0 and start.max() <= 0.01 and made.alive().all()
    return unless(fits, max(mean, variance))
