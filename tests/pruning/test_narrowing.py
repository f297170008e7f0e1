"""Uniform widths: the largest that fit, alike everywhere; and groups that hold every channel."""

import numpy as np
import pytest
from properties.networks import bottlenecks

from tinybar import nn, pruning
from tinybar.nn.networks import check_layout
from tinybar.pruning import COSTS, BudgetError
from tinybar.pruning.narrowing import groups, one_channel_each, uniform

CASES = [(metric, factor) for metric in sorted(COSTS) for factor in (1, 2, 8, 16)]
FAMILIES = {
    "wide": lambda: nn.wide_resnet(16, 2, 4, (8, 8, 1)),
    "basic": lambda: nn.build("resnet-14", 4, (8, 8, 3)),
    "bottlenecks": lambda: bottlenecks(gate=None),
}


@pytest.mark.parametrize(("metric", "factor"), CASES)
def test_the_budget_is_kept_and_used(metric, factor):
    cost, model = COSTS[metric], nn.wide_resnet(10, 2, 4, (8, 8, 1))
    target = cost.full(model) // factor
    small = uniform(model, cost, target)
    assert cost.exact(small) <= target
    assert cost.exact(small) > 0.7 * target  # the next width up would not fit


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("factor", [1, 3, 16])
def test_all_widths_are_scaled_alike(family, factor):
    model, cost = FAMILIES[family](), COSTS["volume"]
    small = uniform(model, cost, cost.full(model) / factor)
    check_layout(small.layout)
    left = np.array([site.conv.c_out for site in pruning.sites(small)])
    size = np.array([site.conv.c_out for site in pruning.sites(model)])
    # One share s with left = max(1, round(s size)): the intervals of s have a point in common.
    lowest = np.where(left > 1, (left - 0.5) / size, 0)
    assert lowest.max() <= ((left + 0.5) / size).min()
    assert (left >= 1).all()
    assert ((left == size) | (factor > 1)).all()


def test_a_share_that_is_larger_would_not_fit():
    """Every width is tried: the steps of the search leave none out."""
    model, cost = nn.wide_resnet(10, 1, 4, (8, 8, 1)), COSTS["volume"]
    costs = {
        sum(max(1, round(k / 256 * site.conv.c_out)) * site.area for site in pruning.sites(model))
        for k in range(257)
    }
    for budget in sorted(costs):
        assert cost.exact(uniform(model, cost, budget)) == budget
        assert cost.exact(uniform(model, cost, budget + 1)) == budget


def test_a_budget_below_one_channel_each():
    model, cost = nn.wide_resnet(10, 1, 4, (8, 8, 1)), COSTS["volume"]
    one_each = sum(site.area for site in pruning.sites(model))
    assert one_channel_each(cost, model) == one_each
    with pytest.raises(BudgetError, match=f"costs {one_each:,}, above {one_each - 1:,}"):
        uniform(model, cost, one_each - 1)
    assert cost.exact(uniform(model, cost, one_each)) == one_each


@pytest.mark.parametrize("family", FAMILIES)
def test_every_array_belongs_to_groups(family):
    """Each writer and each batch norm to one; each reader to one, but for the stem's image."""
    model = FAMILIES[family]()
    convs = {site.conv for site in pruning.sites(model)}
    norms = {module for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    writers = [conv for group in groups(model) for conv in group.writers]
    readers = [layer for group in groups(model) for layer in group.readers]
    behind = [bn for group in groups(model) for bn in group.norms]
    assert (len(writers), set(writers)) == (len(convs), convs)
    assert (len(behind), set(behind)) == (len(norms), norms)
    expected = convs - {model.stem} | {model.linear}
    assert (len(readers), set(readers)) == (len(expected), expected)
