"""Closed forms of the barrier, its budget, and the penalty made of them (Sections 3.3 and 3.4)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from .. import nn, pruning
from ..nn import HardConcrete
from ..pruning.methods import bar
from .checks import closed_form, host, randomise, relative, unless
from .counts import expected_volume_by_hand
from .gates import distribution, logistic, unstretched

D = 10.0  # the hardness that Supp. 1 found effective


def margins(rng: np.random.Generator) -> tuple[float, float]:
    """a < b, in neurons."""
    a = rng.uniform(1e3, 1e6)
    return a, a + rng.uniform(1e2, 1e6)


# --- the barrier ----------------------------------------------------------------------------------


@closed_form("barrier", "f = g(c) = c^2 / (1 - c)", "Eq. 5", 1e-12)
def barrier_through_c(rng):
    """c = (V - a)/(b - a) and g(c), in rational numbers."""
    errors = []
    for _ in range(200):
        a, b = margins(rng)
        volume = a + rng.uniform(1e-3, 0.999) * (b - a)
        c = (Fraction(volume) - Fraction(a)) / (Fraction(b) - Fraction(a))
        errors.append(relative(pruning.barrier(volume, a, b), float(c**2 / (1 - c))))
    return max(errors)


@closed_form("barrier", "pole at b, infinite past it", "Eq. 5", 1e-5)
def barrier_at_b(rng):
    """f(b - h) h / (b - a) -> 1 for h -> 0, at h = 1e-6 (b - a)."""
    a, b = margins(rng)
    h = 1e-6 * (b - a)
    beyond = all(pruning.barrier(v, a, b) == math.inf for v in (b, b + h, 2 * b, math.inf))
    return unless(beyond, abs(pruning.barrier(b - h, a, b) * h / (b - a) - 1))


@closed_form("barrier", "f(a) = f'(a) = 0 from both sides", "Section 3.3 (C1)", 1e-5)
def barrier_at_a(rng):
    """0 up to a; there (f(a + h) - f(a))/h = h/(b - a)^2 (1 + O(h)), at h = 1e-6 (b - a)."""
    a, b = margins(rng)
    h = 1e-6 * (b - a)
    zero = all(pruning.barrier(v, a, b) == 0 for v in (a, a - h, 0.5 * a, 0.0))
    step = (a + h) - a  # h, rounded as the sum is
    quotient = (pruning.barrier(a + h, a, b) - pruning.barrier(a, a, b)) / step
    return unless(zero, abs(quotient * (b - a) ** 2 / step - 1))


@closed_form("barrier", "slope between a and b", "Section 3.3 (C1)", 1e-6)
def barrier_slope(rng):
    """Central differences against the quotient rule, c (2 - c) / (1 - c)^2 / (b - a)."""
    a, b = margins(rng)
    h, errors = 1e-5 * (b - a), []
    for c in np.linspace(0.05, 0.9, 18):
        volume = a + c * (b - a)
        slope = (pruning.barrier(volume + h, a, b) - pruning.barrier(volume - h, a, b)) / (2 * h)
        errors.append(relative(slope, c * (2 - c) / (1 - c) ** 2 / (b - a)))
    return max(errors)


@closed_form("barrier", "rises with V, and as b falls (violations)", "Eq. 5", 0.0)
def barrier_is_monotone(rng):
    """2,101 volumes, most of them between a and b, at two values of b."""
    a, b = margins(rng)
    volumes = np.concatenate(
        [np.linspace(0.5 * a, a, 50), np.linspace(a, b, 2001), np.linspace(b, 1.5 * b, 50)]
    )
    loose = [pruning.barrier(float(v), a, b) for v in volumes]
    tight = [pruning.barrier(float(v), a, b - 0.1 * (b - a)) for v in volumes]
    falls = sum(not low <= high for low, high in pairwise(loose))
    return falls + sum(not low <= high for low, high in zip(loose, tight, strict=True))


# --- the budget -----------------------------------------------------------------------------------


def transition_by_hand(t: Any, d: float = D) -> float:
    """Supp. Eq. 1 in hyperbolic tangents: 1/2 + tanh(d (t - 1/2)/2) / (2 tanh(d/4))."""
    return 0.5 + np.tanh(d * (t - 0.5) / 2) / (2 * math.tanh(d / 4))


@closed_form("budget", "T(0) = 0 and T(1) = 1", "Supp. Eq. 1", 1e-14)
def transition_ends(rng):
    """All schedules, five hardnesses."""
    ends = [
        (pruning.transition(0.0, kind, d), pruning.transition(1.0, kind, d))
        for kind in ("sigmoid", "linear", "exponential")
        for d in (0.1, 1.0, 10.0, 30.0, 100.0)
    ]
    return max(max(abs(start), abs(end - 1)) for start, end in ends)


@closed_form("budget", "sigmoidal transition", "Supp. Eq. 1", 1e-12)
def transition_values(rng):
    """Rewritten in hyperbolic tangents."""
    t = rng.uniform(0, 1, 100)
    return max(
        relative([pruning.transition(float(x), hardness=d) for x in t], transition_by_hand(t, d))
        for d in (1.0, 10.0, 30.0)
    )


@closed_form("budget", "slope of the sigmoidal transition", "Supp. Eq. 1", 1e-6)
def transition_slope(rng):
    """Central differences against d S (1 - S) / (1 - 2 delta), S = sigmoid(d (t - 1/2))."""
    t, h = np.linspace(0.02, 0.98, 49), 1e-5
    slope = [(pruning.transition(x + h) - pruning.transition(x - h)) / (2 * h) for x in t]
    s, delta = logistic(D * (t - 0.5)), logistic(-0.5 * D)
    return relative(slope, D * s * (1 - s) / (1 - 2 * delta))


@closed_form("budget", "d -> 0 gives the linear transition", "Supp. 1", 1e-6)
def transition_limit(rng):
    """d = 0.001; the distance from t is of the order d^2."""
    t = np.linspace(0, 1, 101)
    linear = [pruning.transition(float(x), "linear") for x in t]
    found = [pruning.transition(float(x), hardness=1e-3) for x in t]
    return max(relative(found, t), relative(linear, t))


@closed_form("budget", "exponential schedule", "Section 3.4", 1e-6)
def transition_exponential(rng):
    """Its slope, by central differences, falls by e^-d t; and it is the integral of that slope."""
    t, h = np.linspace(0.02, 0.98, 49), 1e-5
    exponential = [
        (pruning.transition(x + h, "exponential") - pruning.transition(x - h, "exponential"))
        for x in t
    ]
    slope = np.array(exponential) / (2 * h)
    return relative(slope, D * np.exp(-D * t) / (1 - math.exp(-D)))


@closed_form("budget", "b goes from V_F to B, a = B - V_F / 10,000", "Eq. 7, Section 3.4", 1e-13)
def budget_ends(rng):
    """Rational numbers."""
    errors = []
    for kind in ("sigmoid", "linear", "exponential"):
        full = int(rng.integers(10_000, 10_000_000))
        target = int(full * rng.uniform(0.05, 0.9))
        (a, start), (still_a, end) = (pruning.budget(t, full, target, kind) for t in (0.0, 1.0))
        expected = float(Fraction(target) - Fraction(full, 10_000))
        errors += [relative(start, full), relative(end, target)]
        errors += [relative(a, expected), relative(still_a, expected)]
    return max(errors)


@closed_form("budget", "b on its way", "Eq. 7", 1e-12)
def budget_on_its_way(rng):
    """V_F - T(i) (V_F - B), with T in hyperbolic tangents."""
    full, target = 3_112_960, 3_112_960 // 16
    t = rng.uniform(0, 1, 100)
    found = [pruning.budget(float(x), full, target)[1] for x in t]
    return relative(found, full - transition_by_hand(t) * (full - target))


# --- the penalty ----------------------------------------------------------------------------------


def network() -> nn.WideResNet:
    """A small gated network."""
    return nn.wide_resnet(10, 1, 4, (8, 8, 3), HardConcrete)


@closed_form("barrier", "L_BAR = L_S f, f constant for the gradient", "Eq. 6", 1e-7)
def bar_loss(rng):
    """The tape's gradient against f times central differences of L_S alone, h = 1e-4."""
    model, f = randomise(network(), rng), rng.uniform(0.5, 50)
    loss = bar.bar_loss(pruning.expected_volume(model), f)
    loss.backward()
    errors = [relative(loss, f * expected_volume_by_hand(model))]
    for each in pruning.gates_of(model):
        k, h, sides = int(rng.integers(each.log_alpha.size)), 1e-4, []
        for step in (h, -2 * h):
            each.log_alpha.data[k] += step
            sides.append(expected_volume_by_hand(model))
        each.log_alpha.data[k] += h
        slope = f * (sides[0] - sides[1]) / (2 * h)
        errors.append(abs(float(each.log_alpha.grad[k]) - slope) / (abs(slope) + f))
    return max(errors)


def penalty_by_hand(penalty_of: Any, iteration: int, f: float) -> float:
    """How far the penalty of this iteration, and its gradient, are from those for a barrier f."""
    model = penalty_of.model
    gates: list[Any] = pruning.gates_of(model)
    for each in gates:
        each.log_alpha.grad = None
    penalty = penalty_of(iteration)
    penalty.loss.backward()
    weight = 2 / penalty_of.full
    errors = [
        relative(penalty.f, f),
        relative(penalty.loss, weight * f * expected_volume_by_hand(model)),
    ]
    sites: list[Any] = pruning.sites(model)
    for site in sites:
        p = 1 - distribution(unstretched(0), host(site.gate.log_alpha))
        errors.append(relative(site.gate.log_alpha.grad, weight * f * site.area * p * (1 - p)))
    return max(errors)


@closed_form("barrier", "finite penalty at the first iteration", "Section 3.4", 1e-12)
def first_iteration(rng):
    """V = V_F: g(c) with b = 1.2 V_F, and lambda = 2 / V_F."""
    model = network().astype(np.float64).eval()
    full = pruning.volume(model)
    a, b = full // 8 - 1e-4 * full, 1.2 * full
    c = (full - a) / (b - a)
    penalty_of = bar.BudgetAwarePenalty(model, pruning.COSTS["volume"], full // 8, 100)
    return penalty_by_hand(penalty_of, 0, c**2 / (1 - c))


@closed_form("barrier", "finite penalty past the budget", "Section 3.3", 1e-12)
def past_the_budget(rng):
    """All gates open at the last iteration, V = V_F > b = B: f is the cap of 1,000."""
    model = network().astype(np.float64).eval()
    full = pruning.volume(model)
    penalty_of = bar.BudgetAwarePenalty(model, pruning.COSTS["volume"], full // 8, 100)
    at_the_end = relative(penalty_of(99).b, full // 8)
    return max(at_the_end, penalty_by_hand(penalty_of, 99, 1000.0))
