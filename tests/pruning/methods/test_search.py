"""The search for lambda, on curves V(lambda) that are known: smooth, noisy, cliffs, and none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning.methods.search import PROBES, STEPS, is_found, nearest, next_lambda

FULL = 12_000


def search(volume, budget, start=1.0) -> list:
    probes, weight = [], start
    while weight is not None:
        probes.append([weight, volume(weight)])
        weight = next_lambda(probes, budget)
    return probes


def falling(slope, middle, sharpness=4.0):
    """V of a network that keeps all of FULL far below lambda = middle, and falls as a power."""
    return lambda x: FULL / (1 + (x / middle) ** (slope * sharpness)) ** (1 / sharpness)


BUDGETS = st.sampled_from([2, 4, 8, 16]).map(lambda factor: FULL / factor)
CURVES = st.builds(falling, st.floats(0.3, 2.0), st.floats(-4, 4).map(math.exp))


@given(CURVES, BUDGETS)
def test_a_smooth_curve_is_met(volume, budget):
    probes = search(volume, budget)
    assert is_found(probes[-1][1], budget)
    assert nearest(probes, budget) == probes[-1]
    assert not any(is_found(v, budget) for _, v in probes[:-1])  # it stops at the first


@given(CURVES, BUDGETS, st.integers(0, 2**32 - 1))
def test_a_noisy_curve_ends_near_the_budget(volume, budget, seed):
    """The noise is 15 %, more than the window is wide: V may rise with lambda."""
    rng = np.random.default_rng(seed)
    probes = search(lambda x: volume(x) * math.exp(rng.normal(0, 0.15)), budget)
    assert len(probes) <= PROBES
    assert len({weight for weight, _ in probes}) == len(probes)  # each is a stage of its own
    assert abs(math.log(nearest(probes, budget)[1] / budget)) < 0.5


def test_most_noisy_curves_are_met_in_a_few_probes():
    rng, counts, found = np.random.default_rng(0), [], []
    for _ in range(500):
        volume = falling(rng.uniform(0.5, 1.5), math.exp(rng.uniform(-3, 3)))
        budget = FULL / rng.choice([2, 4, 8, 16])
        noisy = lambda x: volume(x) * math.exp(rng.normal(0, 0.1))  # noqa: B023, E731
        probes = search(noisy, budget)
        counts.append(len(probes))
        found.append(is_found(probes[-1][1], budget))
    assert np.mean(found) > 0.9
    assert np.mean(counts) < 6.5


@given(BUDGETS, st.floats(-6, 6).map(math.exp))
def test_a_cliff_is_closed_in_on(budget, place):
    """No lambda meets the window: the ends of the last bracket are near the cliff."""
    probes = search(lambda x: FULL if x < place else budget / 3, budget)
    assert len(probes) <= PROBES
    above = max(weight for weight, v in probes if v == FULL)
    below = min(weight for weight, v in probes if v != FULL)
    assert above < place <= below < 3 * above


@pytest.mark.parametrize(("volume", "sign"), [(FULL, 1), (100, -1)])
def test_where_lambda_has_no_effect_it_gives_up(volume, sign):
    probes = search(lambda x: volume, FULL / 8)
    assert len(probes) == STEPS + 1
    weights = [weight for weight, _ in probes]
    assert weights == sorted(weights, reverse=sign < 0)
    assert abs(math.log10(weights[-1])) > 4


def test_the_nearest_by_factor():
    assert nearest([[1, 3000], [2, 1200], [3, 900]], 1000) == [3, 900]
    assert nearest([[1, 990], [2, 1000], [3, 950]], 1000) == [1, 990]  # all found: the first
    assert nearest([[1, 3000], [2, 1005], [3, 850]], 1000) == [2, 1005]


@given(CURVES, BUDGETS)
def test_it_depends_on_the_probes_alone(volume, budget):
    probes = search(volume, budget)
    again = [next_lambda(probes[: k + 1], budget) for k in range(len(probes))]
    assert again == [weight for weight, _ in probes[1:]] + [None]
