"""Whatever the gates and the weights: the compact network is the hard-masked one, only smaller."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, images, random_gates, randomise

import tinybar as tb
from tinybar import nn, pruning

SEEDS = st.integers(0, 2**32 - 1)
NETWORKS = st.sampled_from([(10, 2), (16, 2), (16, 1), (10, 1)])
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
DTYPES = st.sampled_from([(np.float64, 1e-10), (np.float32, 1e-5)])


def logits(model, x) -> np.ndarray:
    with tb.no_grad():
        return model(tb.Tensor(x)).data


def random_network(seed, network, shape, dtype=np.float64):
    rng = np.random.default_rng(seed)
    model = randomise(gated(*network, image_shape=shape, dtype=dtype), rng)
    return random_gates(model, rng), rng


@given(SEEDS, NETWORKS, SIZES, DTYPES)
def test_the_same_function(seed, network, shape, precision):
    dtype, bound = precision
    model, rng = random_network(seed, network, shape, dtype)
    x = images(model, rng)
    expected, found = logits(model, x), logits(pruning.compact(model), x)
    assert np.abs(expected - found).max() <= bound * np.abs(expected).max()


@given(SEEDS, NETWORKS)
def test_images_of_another_size_than_it_was_made_for(seed, network):
    model, rng = random_network(seed, network, (8, 8, 3))
    x = images(model, rng, size=tuple(rng.integers(1, 12, 2)))
    expected, found = logits(model, x), logits(pruning.compact(model), x)
    assert np.abs(expected - found).max() <= 1e-10 * np.abs(expected).max()


def counted_from_arrays(model: nn.CompactResNet) -> tuple[int, int]:
    """(volume, FLOPs) from the weights' shapes alone; a stride halves the image, rounding up."""
    height, width, _ = model.image_shape
    rows = [(model.stem, height * width)]
    for block in model.blocks:
        height, width = -(-height // block.stride), -(-width // block.stride)
        convs = (block.shortcut, block.conv1, block.conv2)
        rows += [(conv, height * width) for conv in convs if conv is not None]
    volume = sum(conv.weight.shape[3] * area for conv, area in rows)
    return volume, sum(2 * math.prod(conv.weight.shape) * area for conv, area in rows)


@given(SEEDS, NETWORKS, SIZES)
def test_the_costs_are_what_its_arrays_say(seed, network, shape):
    model, _ = random_network(seed, network, shape)
    small = pruning.compact(model)
    expected = counted_from_arrays(small)
    assert (pruning.volume(model), pruning.flops(model)) == expected
    assert (pruning.volume(small), pruning.flops(small)) == expected


@given(SEEDS, NETWORKS)
def test_what_is_dead_has_no_influence(seed, network):
    """Every number that belongs to a dead feature is replaced; no logit changes by a bit."""
    model, rng = random_network(seed, network, (6, 5, 2))
    x = images(model, rng)
    before, small_before = logits(model, x), pruning.compact(model).state_dict()

    def spoil(array, *dead):
        for axis, features in dead:
            where = [slice(None)] * array.ndim
            where[axis] = np.flatnonzero(features)
            array[tuple(where)] = rng.standard_normal(array[tuple(where)].shape) * 50

    modules = {"stem": (model.stem, None)}
    for k, block in enumerate(model.blocks):
        modules |= {f"blocks.{k}.conv1": (block.conv1, block.bn1)}
        modules |= {f"blocks.{k}.conv2": (block.conv2, block.bn2)}
        modules |= {f"blocks.{k}.shortcut": (block.shortcut, None)}
    for layer in pruning.hard_pruned(model):
        conv, bn = modules[layer.site.name]
        spoil(conv.weight.data, (2, ~layer.reads), (3, ~layer.writes))
        if bn is not None:
            for array in (bn.gamma.data, bn.beta.data, bn.running_mean):
                spoil(array, (0, ~layer.reads))
    assert np.array_equal(logits(model, x), before)
    after = pruning.compact(model).state_dict()
    assert all(np.array_equal(after[name], array) for name, array in small_before.items())


@given(SEEDS, st.sampled_from([(10, 1), (10, 2)]))
def test_what_is_alive_has_influence(seed, network):
    """The counterpart: a live feature of the last signal, moved, moves the logits."""
    model, rng = random_network(seed, network, (6, 5, 2))
    x = images(model, rng)
    before = logits(model, x)
    layers = pruning.hard_pruned(model)
    signal = layers[-1].site.signal
    alive = np.logical_or.reduce([layer.writes for layer in layers if layer.site in signal])
    model.bn.beta.data[np.flatnonzero(alive)[0]] += 100
    assert not np.allclose(logits(model, x), before)


@pytest.mark.parametrize("metric", sorted(pruning.COSTS))
@given(seed=SEEDS, share=st.floats(0, 1))
def test_a_budget_that_can_be_kept_is_kept_by_the_arrays(metric, seed, share):
    """From any gates to any budget: hard pruning, compaction, and the arrays fit."""
    model, _ = random_network(seed, (10, 1), (8, 8, 1))
    cost = pruning.COSTS[metric]
    smallest = cost.smallest(model)
    target = smallest + int(share * (cost.full(model) - smallest))
    pruning.enforce_budget(model, cost, target)
    counted = counted_from_arrays(pruning.compact(model))
    assert counted[["volume", "flops"].index(metric)] <= target
