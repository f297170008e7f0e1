"""Whatever the gates and the weights: the compact network is the hard-masked one, only smaller."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, images, post_activation, random_gates, randomise

import tinybar as tb
from tinybar import nn, pruning

SEEDS = st.integers(0, 2**32 - 1)
WIDE = [(*size, live) for size in [(10, 2), (16, 2), (16, 1), (10, 1)] for live in nn.LIVE]
POST = ["bottlenecks", "basic"]
NETWORKS, ALL_NETWORKS = st.sampled_from(WIDE), st.sampled_from(WIDE + POST)
CONNECTIVITIES = st.sampled_from(["mixed", "regular"])
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
DTYPES = st.sampled_from([(np.float64, 1e-10), (np.float32, 1e-5)])


def logits(model, x) -> np.ndarray:
    with tb.no_grad():
        return model(tb.Tensor(x)).data


def random_network(seed, network, shape, dtype=np.float64):
    rng = np.random.default_rng(seed)
    if network in POST:
        model = post_activation(network, shape, dtype)
    else:
        model = gated(*network, image_shape=shape, dtype=dtype)
    randomise(model, rng)
    return random_gates(model, rng), rng


@given(SEEDS, ALL_NETWORKS, SIZES, DTYPES, CONNECTIVITIES)
def test_the_same_function(seed, network, shape, precision, connectivity):
    dtype, bound = precision
    model, rng = random_network(seed, network, shape, dtype)
    x = images(model, rng)
    expected, found = logits(model, x), logits(pruning.compact(model, connectivity), x)
    assert np.abs(expected - found).max() <= bound * np.abs(expected).max()


@given(SEEDS, ALL_NETWORKS, CONNECTIVITIES)
def test_images_of_another_size_than_it_was_made_for(seed, network, connectivity):
    model, rng = random_network(seed, network, (8, 8, 3))
    x = images(model, rng, size=tuple(rng.integers(1, 12, 2)))
    expected, found = logits(model, x), logits(pruning.compact(model, connectivity), x)
    assert np.abs(expected - found).max() <= 1e-10 * np.abs(expected).max()


def counted_from_arrays(model: nn.CompactNetwork) -> dict[str, int]:
    """Every cost from the weights' shapes alone; a stride halves the image, rounding up."""

    def strided(size, stride):
        return tuple(-(-n // stride) for n in size)

    size = strided(model.image_shape[:2], model.stem.stride)
    rows = [(model.stem, math.prod(size))]
    size = strided(size, 2) if model.pools else size
    for block in model.blocks:
        before, size = size, strided(size, block.stride)
        if block.shortcut is not None:
            rows.append((block.shortcut, math.prod(size)))
        for conv in (step.conv for step in block.path()):
            before = strided(before, conv.stride)
            rows.append((conv, math.prod(before)))
    return {
        "volume": sum(conv.weight.shape[3] * area for conv, area in rows),
        "flops": sum(2 * math.prod(conv.weight.shape) * area for conv, area in rows),
        "params": sum(math.prod(conv.weight.shape) for conv, _ in rows),
    }


@given(SEEDS, ALL_NETWORKS, SIZES, CONNECTIVITIES)
def test_the_costs_are_what_its_arrays_say(seed, network, shape, connectivity):
    model, _ = random_network(seed, network, shape)
    small = pruning.compact(model, connectivity)
    expected = counted_from_arrays(small)
    costs = pruning.COSTS
    assert {name: costs[name].exact(model, connectivity) for name in costs} == expected
    assert {name: costs[name].exact(small) for name in costs} == expected


@given(SEEDS, ALL_NETWORKS)
def test_it_is_built_again_from_its_layout_and_state(seed, network):
    model, rng = random_network(seed, network, (7, 6, 3))
    small, x = pruning.compact(model), images(model, rng)
    again = nn.compact_network(json.loads(json.dumps(small.layout))).astype(np.float64).eval()
    again.load_state_dict(small.state_dict())
    assert np.array_equal(logits(again, x), logits(small, x))


@given(SEEDS, ALL_NETWORKS)
def test_dead_channels_have_no_influence(seed, network):
    """Every number that belongs to a dead channel is replaced; no logit changes by a bit."""
    model, rng = random_network(seed, network, (6, 5, 2))
    x = images(model, rng)
    before, small_before = logits(model, x), pruning.compact(model).state_dict()

    def spoil(array, *dead):
        for axis, channels in dead:
            where = [slice(None)] * array.ndim
            where[axis] = np.flatnonzero(channels)
            array[tuple(where)] = rng.standard_normal(array[tuple(where)].shape) * 50

    def spoil_bn(bn, dead):
        for array in () if bn is None else (bn.gamma.data, bn.beta.data, bn.running_mean):
            spoil(array, (0, dead))

    live = {layer.site.conv: layer for layer in pruning.hard_pruned(model)}
    for layer in live.values():
        spoil(layer.site.conv.weight.data, (2, ~layer.reads), (3, ~layer.writes))
        spoil_bn(layer.site.bn, ~layer.writes)
    for block in model.blocks:
        spoil_bn(block.reading_bn, ~live[block.path()[0].conv].reads)
    dead = ~live_at_the_end(live)
    spoil_bn(model.bn, dead)
    spoil(model.linear.weight.data, (0, dead))
    assert np.array_equal(logits(model, x), before)
    after = pruning.compact(model).state_dict()
    assert all(np.array_equal(after[name], array) for name, array in small_before.items())


def writers_at_the_end(live: dict) -> list:
    """The layers that write to the last residual signal."""
    signal = list(live.values())[-1].site.signal
    return [layer for layer in live.values() if layer.site.signal == signal]


def live_at_the_end(live: dict) -> np.ndarray:
    """(C,) booleans: the live channels of the last residual signal."""
    return np.logical_or.reduce([layer.writes for layer in writers_at_the_end(live)])


@given(SEEDS, st.sampled_from([(10, 1, "hard"), (10, 2, "hard"), *POST]))
def test_live_channels_have_influence(seed, network):
    """The counterpart: a live channel of the last residual signal moves the logits."""
    model, rng = random_network(seed, network, (6, 5, 2))
    x = images(model, rng)
    before = logits(model, x)
    live = {layer.site.conv: layer for layer in pruning.hard_pruned(model)}
    channel = np.flatnonzero(live_at_the_end(live))[0]
    if model.bn is not None:
        model.bn.beta.data[channel] += 100
    else:
        writer = next(layer for layer in writers_at_the_end(live) if layer.writes[channel])
        writer.site.bn.beta.data[channel] += 10_000  # the gate may be nearly closed
    assert not np.allclose(logits(model, x), before)


@pytest.mark.parametrize("metric", sorted(pruning.COSTS))
@given(seed=SEEDS, share=st.floats(0, 1), network=st.sampled_from([(10, 1), *POST]))
def test_a_budget_that_can_be_kept_is_kept_by_the_arrays(metric, seed, share, network):
    """From any gates to any budget: hard pruning, compaction, and the arrays fit."""
    model, _ = random_network(seed, network, (8, 8, 1))
    cost = pruning.COSTS[metric]
    smallest = cost.smallest(model)
    target = smallest + int(share * (cost.full(model) - smallest))
    pruning.enforce_budget(model, cost, target)
    assert counted_from_arrays(pruning.compact(model))[metric] <= target
