"""The methods with a price: lagrangian's multiplier, and MorphNet's widths (Section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn, pruning
from ..nn import HardConcrete
from ..pruning import multiplier, narrowing, widths
from ..pruning.methods import lagrangian, morphnet
from .checks import assign, closed_form, host, randomise, relative
from .counts import expected_volume_by_hand
from .gates import distribution, unstretched
from .methods import families

VOLUME, FLOPS = pruning.COSTS["volume"], pruning.COSTS["flops"]


# --- the multiplier -------------------------------------------------------------------------------


def multipliers(errors: Sequence[float], gains: Any, start: float = 0.0) -> list[float]:
    """lambda after each of the errors."""
    now, found = multiplier.Multiplier(start), []
    for error in errors:
        now = now.after(error, gains)
        found.append(now.value)
    return found


@closed_form("methods", "nuPI with kappa_P = 0 is dual ascent", "Sohrabi et al. 2024", 1e-12)
def dual_ascent(rng):
    """Sums that start again at 0 are the largest sums that end now: no step is repeated."""
    errors, kappa, start = rng.standard_normal(200), 0.3, 1.5
    sums = kappa * np.cumsum(errors)
    expected = [
        max(start + sums[n], *(sums[n] - sums[k] for k in range(n + 1))) for n in range(200)
    ]
    return relative(multipliers(errors, multiplier.Gains(kappa, 0.0, 0.8), start), expected)


@closed_form("methods", "nuPI: errors summed, and a mean's changes", "Sohrabi et al. 2024", 1e-12)
def unrolled(rng):
    """Far above 0: lambda_0 + kappa_I sum e + kappa_P (xi_n - e_0), xi_n by its weights."""
    errors, nu = rng.standard_normal(50), 0.7
    weights = [nu**49, *(0.3 * nu ** (49 - k) for k in range(1, 50))]
    expected = 1e3 + 2.0 * errors.sum() + 5.0 * (np.dot(weights, errors) - errors[0])
    return relative(multipliers(errors, multiplier.Gains(2.0, 5.0, nu), 1e3)[-1], expected)


@closed_form("methods", "lambda >= 0 (violations)", "Gallego-Posada et al. 2022", 0.0)
def never_negative(rng):
    """Forty gains, 100 errors each; after errors that are all negative it is 0."""
    negative, not_zero = 0, 0
    for _ in range(40):
        gains = multiplier.Gains(*rng.uniform(0, [10, 100, 0.99]))
        negative += sum(value < 0 for value in multipliers(rng.standard_normal(100), gains, 1.0))
        not_zero += multipliers(-np.arange(1.0, 100.0), gains, 1.0)[-1] != 0
    return float(negative + not_zero)


@closed_form("methods", "nuPI finds a known multiplier", "Sohrabi et al. 2024", 1e-3)
def known_multiplier(rng):
    """min |x - t|^2 / 2 with n x <= d by descent on x: lambda = max(0, (n t - d) / |n|^2)."""
    errors = []
    for excess in (1.0, 0.4, -0.5):  # the last one does not bind
        t, n = rng.standard_normal(3), rng.standard_normal(3)
        n /= np.linalg.norm(n)
        d, x, now = n @ t - excess, np.zeros(3), multiplier.Multiplier()
        for _ in range(2000):
            now = now.after(n @ x - d, multiplier.Gains(0.05, 0.5, 0.5))
            x -= 0.1 * (x - t + now.value * n)
        errors += [abs(now.value - max(0.0, excess)), abs(n @ x - min(d, n @ t))]
    return max(errors)


@closed_form("methods", "lambda (L_S - b) / V_F, and its slope in the gates", "Eq. 3, Eq. 7", 1e-12)
def lagrangian_penalty(rng):
    """At half the way, where b = (V_F + B) / 2; lambda by hand, its slope is A p (1 - p)."""
    model = randomise(nn.wide_resnet(10, 1, 4, (8, 8, 3), HardConcrete), rng)
    volume, full = pruning.volume(model), VOLUME.full(model)
    target = volume // 4
    penalty = lagrangian.Lagrangian(model, VOLUME, target, 101, start=1e5)(50)
    penalty.loss.backward()
    b = (full + target) / 2
    pressure = (1e5 + lagrangian.INTEGRAL / 101 * (volume - b) / full) / full
    errors = [relative(penalty.loss, pressure * (expected_volume_by_hand(model) - b))]
    for site in pruning.sites(model):
        p = 1 - distribution(unstretched(0), host(site.gate.log_alpha))
        errors.append(relative(site.gate.log_alpha.grad, pressure * site.area * p * (1 - p)))
    return max(errors)


# --- MorphNet -------------------------------------------------------------------------------------


def with_small_scales(rng: np.random.Generator) -> nn.Module:
    """A WRN-10-1 whose gammas lie on both sides of the threshold, and away from it."""
    model = randomise(nn.wide_resnet(10, 1, 4, (8, 8, 3)), rng)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            n = module.gamma.size
            size = np.where(rng.random(n) < 0.5, rng.uniform(0.1, 0.5, n), rng.uniform(2, 3, n))
            assign(module.gamma, rng.choice([-1, 1], n) * size * morphnet.THRESHOLD)
    return model


def scales_by_hand(model: Any) -> list[np.ndarray]:
    """|gamma| of the stem's signal, the paths, and the other two signals of a WRN-10-1."""
    first, second, third = model.blocks

    def largest(*norms):
        return np.max([np.abs(host(bn.gamma)) for bn in norms], axis=0)

    signals = largest(first.bn1, second.bn1), largest(third.bn1), largest(model.bn)
    return [*signals, *(largest(block.bn2) for block in model.blocks)]


@closed_form("methods", "MorphNet's price, counted by hand", "Gordon et al. 2018", 1e-12)
def price_by_hand(rng):
    """A WRN-10-1: what the reads of a convolution cost with its writes as they are, and so on."""
    model = with_small_scales(rng)
    scales = scales_by_hand(model)
    of_signal, of_path = scales[:3], scales[3:]
    ends = [(9, 64, None, of_signal[0])]
    for k, (before, after, area) in enumerate([(0, 0, 64), (0, 1, 16), (1, 2, 4)]):
        ends.append((9, area, of_signal[before], of_path[k]))
        ends.append((9, area, of_path[k], of_signal[after]))
        if before != after:
            ends.append((1, area, of_signal[before], of_signal[after]))

    def total(scale):
        if scale is None:  # the image
            return 0.0, 3
        return scale.sum(), int((scale > morphnet.THRESHOLD).sum())

    flops = volume = 0.0
    for taps, area, reads, writes in ends:
        (read, n), (written, m) = total(reads), total(writes)
        flops += 2 * taps * area * (read * m + written * n)
        volume += area * written
    found = [morphnet.PricedScales(model, cost, 0.5)(0).loss for cost in (FLOPS, VOLUME)]
    return max(relative(a, 0.5 * b) for a, b in zip(found, (flops, volume), strict=True))


@closed_form("methods", "slopes of MorphNet's price", "Gordon et al. 2018", 1e-7)
def slopes_of_the_price(rng):
    """Central differences in one gamma of every batch norm, h = 1e-5 of the threshold."""
    model = with_small_scales(rng)
    penalty, h, errors = morphnet.PricedScales(model, FLOPS), 1e-5 * morphnet.THRESHOLD, []
    penalty(0).loss.backward()
    largest = max(float(np.abs(host(gamma.grad)).max()) for gamma in penalty.moved)
    for gamma in penalty.moved:
        k, sides = int(rng.integers(gamma.size)), []
        for step in (h, -2 * h):
            gamma.data[k] += step
            sides.append(float(host(penalty(0).loss)))
        gamma.data[k] += h
        errors.append(abs(float(gamma.grad[k]) - (sides[0] - sides[1]) / (2 * h)) / largest)
    return max(errors)


@closed_form("methods", "MorphNet: with every gamma kept, the full network", "Sec. 5.1", 0.0)
def every_scale(rng):
    """Three families, three metrics, the whole budget: the multiplier 1."""
    wrong = 0
    for model in families(rng):
        full = morphnet.PricedScales(model, VOLUME).widths()
        for cost in pruning.COSTS.values():
            small = widths.with_widths(model, widths.fitted(model, cost, full, cost.full(model)))
            shapes = [[s.conv.weight.shape for s in pruning.sites(m)] for m in (small, model)]
            wrong += shapes[0] != shapes[1]
    return float(wrong)


@closed_form("methods", "MorphNet: the largest multiplier that fits", "Section 5.1", 0.0)
def largest_multiplier(rng):
    """One multiplier gives all widths; at the next one that changes a width, they cost too much."""
    wrong = 0
    for model in families(rng):
        before = rng.integers(1, 9, len(narrowing.groups(model)))
        for cost in (VOLUME, FLOPS):
            budget = cost.full(model) // 5
            found = widths.fitted(model, cost, before, budget)
            fits = cost.exact(widths.with_widths(model, found)) <= budget
            found = np.array(found)
            least = np.where(found > 1, (found - 0.5) / before, 0).max()
            following = ((found + 0.5) / before).min()
            larger = widths.with_widths(model, widths.scaled(before, following + 1e-9))
            wrong += not (fits and least <= following and cost.exact(larger) > budget)
    return float(wrong)
