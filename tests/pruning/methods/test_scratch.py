"""Pruning at random: uniform widths, the largest that fit, drawn from the stream."""

import numpy as np
import pytest
from properties.networks import gated

from tinybar import pruning
from tinybar.pruning import COSTS, BudgetError
from tinybar.pruning.methods.scratch import prune_at_random
from tinybar.runtime import random

CASES = [(metric, factor) for metric in sorted(COSTS) for factor in (1, 2, 8, 16)]


@pytest.mark.parametrize(("metric", "factor"), CASES)
def test_the_budget_is_kept_and_used(metric, factor):
    cost, model = COSTS[metric], gated(10, 2, image_shape=(8, 8, 1))
    target = cost.full(model) // factor
    prune_at_random(model, cost, target)
    assert cost.exact(model) <= target
    assert cost.exact(model) > 0.7 * target  # the next width up would not fit


@pytest.mark.parametrize(("metric", "factor"), CASES)
def test_all_widths_are_scaled_alike(metric, factor):
    cost, model = COSTS[metric], gated(10, 2, image_shape=(8, 8, 1))
    prune_at_random(model, cost, cost.full(model) // factor)
    left = np.array([gate.alive().sum() for gate in pruning.gates_of(model)])
    size = np.array([gate.log_alpha.size for gate in pruning.gates_of(model)])
    # One share s with left = max(1, round(s size)): the intervals of s have a point in common.
    lowest = np.where(left > 1, (left - 0.5) / size, 0)
    assert lowest.max() <= ((left + 0.5) / size).min()
    assert (left >= 1).all()


def test_nothing_goes_when_all_may_stay():
    model = gated(10, 1)
    prune_at_random(model, COSTS["volume"], COSTS["volume"].full(model))
    assert all(gate.alive().all() for gate in pruning.gates_of(model))


def alive_after(seed):
    random.seed(seed)
    model = gated(10, 2)
    prune_at_random(model, COSTS["volume"], COSTS["volume"].full(model) // 4)
    return np.concatenate([gate.alive() for gate in pruning.gates_of(model)])


def test_the_choice_follows_the_seed():
    assert np.array_equal(alive_after(1), alive_after(1))
    assert not np.array_equal(alive_after(1), alive_after(2))
    assert alive_after(1).sum() == alive_after(2).sum()


def test_a_budget_below_one_channel_each():
    model = gated(10, 1)
    cost = COSTS["volume"]
    prune_at_random(model, cost, cost.full(model) // 10)
    one_each = sum(site.area for site in pruning.sites(model))
    with pytest.raises(BudgetError, match=f"costs {one_each:,}, above {one_each - 1:,}"):
        prune_at_random(model, cost, one_each - 1)
    prune_at_random(model, cost, one_each)
    assert cost.exact(model) == one_each
