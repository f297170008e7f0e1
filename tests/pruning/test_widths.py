"""Networks of given widths. That the multiplier is the largest, and prices, are audited."""

import numpy as np
import pytest
from properties.networks import bottlenecks

from tinybar import nn, pruning
from tinybar.nn.networks import check_layout
from tinybar.pruning import COSTS, BudgetError
from tinybar.pruning.narrowing import groups
from tinybar.pruning.widths import cost_of, fitted, prices, scaled, with_widths

FAMILIES = {
    "wide": lambda: nn.wide_resnet(16, 2, 4, (8, 8, 1)),
    "basic": lambda: nn.build("resnet-14", 4, (8, 8, 3)),
    "bottlenecks": lambda: bottlenecks(gate=None),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_group_has_the_width_that_it_was_given(family):
    """All different, and some larger than the full network's."""
    model = FAMILIES[family]()
    found = [3 + 5 * k for k in range(len(groups(model)))]
    small = with_widths(model.astype(np.float64), found)
    check_layout(small.layout)
    assert small.stem.weight.dtype == np.float64
    assert [[conv.c_out for conv in group.writers] for group in groups(small)] == [
        [width] * len(group.writers) for width, group in zip(found, groups(model), strict=True)
    ]
    for cost in COSTS.values():
        assert cost.exact(small) == cost_of(model, cost, found)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("metric", sorted(COSTS))
def test_a_price_is_the_difference_that_one_channel_makes(family, metric):
    """Where it writes and reads at once it is counted from both sides, without their product."""
    model, cost = FAMILIES[family](), COSTS[metric]
    found = [4 + k for k in range(len(groups(model)))]
    for k, price in enumerate(prices(model, cost, found)):
        larger = [width + (j == k) for j, width in enumerate(found)]
        assert cost_of(model, cost, larger) - cost_of(model, cost, found) == price


def test_widths_are_rounded_and_at_least_one():
    assert scaled([0, 1, 10, 16], 0.06) == [1, 1, 1, 1]
    assert scaled([0, 1, 10, 16], 0.35) == [1, 1, 4, 6]


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_a_budget_below_one_channel_each(metric):
    model, cost = FAMILIES["wide"](), COSTS[metric]
    ones = [1] * len(groups(model))
    least = cost_of(model, cost, ones)
    assert fitted(model, cost, [5] * len(ones), least) == ones
    with pytest.raises(BudgetError, match=f"costs {least:,}, above {least - 1:,}"):
        fitted(model, cost, ones, least - 1)


def test_widths_may_grow():
    """Where few channels count, others get more than they had."""
    model, cost = FAMILIES["wide"](), COSTS["volume"]
    few = [1] * (len(groups(model)) - 1) + [128]
    found = fitted(model, cost, few, cost.full(model))
    assert found[-1] > pruning.sites(model)[-1].conv.c_out
