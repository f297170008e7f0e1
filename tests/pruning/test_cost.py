"""Costs: exact against a count written again from the paper, expected against enumeration."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, post_activation, random_gates, set_gate

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn, pruning
from tinybar.pruning import COSTS


def masks_of(model) -> dict:
    """The features with E[z] > 0 (Eq. 4), with the clamp of Section 4.1 on vital gates."""

    def mask(gate, is_vital):
        log_alpha = gate.log_alpha.data
        z = 1.2 / (1 + np.exp(-log_alpha / (2 / 3))) - 0.1
        alive = z > 0
        if is_vital and not alive.any():
            alive[np.argmax(log_alpha)] = True
        return {int(i) for i in np.flatnonzero(alive)}

    masks = {"stem": mask(model.stem_gate, True)}
    for k, block in enumerate(model.blocks):
        masks[k] = {"conv1": mask(block.gate1, False), "conv2": mask(block.gate2, False)}
        if block.shortcut is not None:
            masks[k]["shortcut"] = mask(block.shortcut_gate, True)
    return masks


def count(masks: dict, image_shape, regular=False) -> tuple[int, int]:
    """(volume, FLOPs): walk through a wide ResNet and list what is computed.

    Every block of a group adds to one residual signal. Strides halve the image, rounding up.
    """
    height, width, channels = image_shape
    n_blocks = len(masks) - 1
    groups, start = [[("stem", masks["stem"])]], {}
    for k in range(n_blocks):
        if "shortcut" in masks[k]:
            groups.append([((k, "shortcut"), masks[k]["shortcut"])])
        start[k] = len(groups) - 1
        if masks[k]["conv1"] and masks[k]["conv2"]:  # else the block is removed
            groups[-1].append(((k, "conv2"), masks[k]["conv2"]))
    unions = [set().union(*(mask for _, mask in group)) for group in groups]

    def computed(group, mask):
        return unions[group] if regular else mask

    area = height * width
    rows = [(9, channels, len(computed(0, masks["stem"])), area)]
    signal = set(masks["stem"])
    for k in range(n_blocks):
        group = start[k]
        reads = unions[group - ("shortcut" in masks[k])] if regular else signal
        if "shortcut" in masks[k]:
            if k >= n_blocks // 3:  # the first group keeps the size
                height, width = -(-height // 2), -(-width // 2)
            area = height * width
            written = computed(group, masks[k]["shortcut"])
            rows.append((1, len(reads), len(written), area))
            signal = set(written)
        inner, outer = masks[k]["conv1"], masks[k]["conv2"]
        if inner and outer:
            written = computed(group, outer)
            rows.append((9, len(reads), len(inner), area))
            rows.append((9, len(inner), len(written), area))
            signal = signal | written
    volume = sum(writes * area for _, _, writes, area in rows)
    return volume, sum(2 * kernel * reads * writes * area for kernel, reads, writes, area in rows)


NETWORKS = [(10, 1, (8, 8, 3)), (10, 2, (7, 5, 1)), (16, 1, (9, 6, 2)), (16, 2, (1, 3, 1))]


@given(seed=st.integers(0, 2**32 - 1), network=st.sampled_from(NETWORKS))
def test_the_count_written_again(seed, network):
    depth, width, shape = network
    model = random_gates(gated(depth, width, image_shape=shape), np.random.default_rng(seed))
    masks = masks_of(model)
    assert (pruning.volume(model), pruning.flops(model)) == count(masks, shape)
    regular = pruning.volume(model, "regular"), pruning.flops(model, connectivity="regular")
    assert regular == count(masks, shape, regular=True)


@given(seed=st.integers(0, 2**32 - 1), network=st.sampled_from(NETWORKS))
def test_mixed_connectivity_never_costs_more(seed, network):
    depth, width, shape = network
    model = random_gates(gated(depth, width, image_shape=shape), np.random.default_rng(seed))
    for exact in (pruning.volume, pruning.flops):
        assert exact(model) <= exact(model, "regular") <= exact(gated(depth, width, 4, shape))


def test_wrn_28_12_has_the_paper_s_size():
    for gate in (None, nn.HardConcrete):
        model = nn.wide_resnet(28, 12, 10, gate=gate)
        assert pruning.volume(model) == 3_112_960
        assert pruning.flops(model) == 15_087_796_224


def test_resnet_50_has_the_size_that_the_errata_count():
    """2,669,150,208 FLOPs; the paper's tables fit this with the 7x7 stem counted as 1x1."""
    for gate in (None, nn.HardConcrete):
        model = nn.resnet50(10, gate=gate)
        assert (pruning.volume(model), pruning.flops(model)) == (3_629_056, 2_669_150_208)
    stem = pruning.hard_pruned(model)[0].cost(COSTS["flops"].of)
    assert pruning.flops(model) - stem + stem // 49 == 2_593_652_736


def with_masks(model, masks) -> nn.Module:
    """The gates opened as listed: for stem and (shortcut, conv1, conv2) of every block."""
    rng = np.random.default_rng(0)
    stem, *blocks = masks
    gates = [(model.stem_gate, stem)]
    for block, (shortcut, inner, outer) in zip(model.blocks, blocks, strict=True):
        gates += [(block.gate1, inner), (block.gate2, outer)]
        if block.shortcut is not None:
            gates.append((block.shortcut_gate, shortcut))
    for gate, open_ in gates:
        set_gate(gate, np.isin(np.arange(gate.log_alpha.size), list(open_)), rng)
    return model


# WRN-10-1 on 4x4 grey images: the stem's signal (area 16) goes on through block 0.
BY_HAND = ({0, 1, 2}, (None, {0, 1}, {2, 3}), ({0}, {5}, {0, 7}), ({1, 2}, {0, 1, 2}, {3}))


def test_one_network_counted_by_hand():
    model = with_masks(gated(10, 1, image_shape=(4, 4, 1)), BY_HAND)
    # stem 3; block 0: 2, 2 (area 16); block 1: 1, 1, 2 (area 4); block 2: 2, 3, 1 (area 1).
    assert pruning.volume(model) == 7 * 16 + 4 * 4 + 6 * 1
    # Pairs read and written: stem 1x3; block 0 reads {0,1,2}, then the signal is {0,1,2,3};
    # block 1 reads 4, its signal is {0, 7}; block 2 reads 2.
    area_16 = 9 * (1 * 3 + 3 * 2 + 2 * 2) * 16
    area_4 = (4 * 1 + 9 * (4 * 1 + 1 * 2)) * 4
    area_1 = 2 * 2 + 9 * (2 * 3 + 3 * 1)
    assert pruning.flops(model) == 2 * (area_16 + area_4 + area_1)


def test_regular_connectivity_counted_by_hand():
    model = with_masks(gated(10, 1, image_shape=(4, 4, 1)), BY_HAND)
    # The unions: {0,1,2,3} for stem and block 0, {0,7} in block 1, {1,2,3} in block 2.
    assert pruning.volume(model, "regular") == (4 + 2 + 4) * 16 + (2 + 1 + 2) * 4 + (3 + 3 + 3) * 1
    area_16 = 9 * (1 * 4 + 4 * 2 + 2 * 4) * 16
    area_4 = (4 * 2 + 9 * (4 * 1 + 1 * 2)) * 4
    area_1 = 2 * 3 + 9 * (2 * 3 + 3 * 3)
    assert pruning.flops(model, "regular") == 2 * (area_16 + area_4 + area_1)


def test_a_delta_whose_inner_convolution_is_dead_does_not_count():
    """Block 0 writes features 2 and 3 by its gate, but nothing reaches them."""
    dead = (BY_HAND[0], (None, set(), {2, 3}), *BY_HAND[2:])
    model = with_masks(gated(10, 1, image_shape=(4, 4, 1)), dead)
    assert pruning.volume(model) == 3 * 16 + 4 * 4 + 6 * 1
    convs = {conv.site.name: conv for conv in pruning.hard_pruned(model)}
    assert not convs["blocks.0.conv2"].writes.any()
    assert np.flatnonzero(convs["blocks.1.conv1"].reads).tolist() == [0, 1, 2]
    for connectivity in ("mixed", "regular"):
        removed = with_masks(model, (BY_HAND[0], (None, set(), set()), *BY_HAND[2:]))
        expected = pruning.volume(removed, connectivity), pruning.flops(removed, connectivity)
        model = with_masks(model, dead)
        assert (pruning.volume(model, connectivity), pruning.flops(model, connectivity)) == expected


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_full_and_smallest(metric):
    cost, shape = COSTS[metric], (7, 6, 3)
    model = random_gates(gated(16, 1, image_shape=shape), np.random.default_rng(0))
    plain = nn.wide_resnet(16, 1, 4, shape)
    assert cost.full(model) == cost.exact(plain) == cost.full(plain)
    everything_dead = with_masks(gated(16, 1, image_shape=shape), [()] + [((), (), ())] * 6)
    assert cost.smallest(model) == cost.exact(everything_dead)


def test_a_metric_of_another_name():
    with pytest.raises(ValueError, match="unknown connectivity 'dense'"):
        pruning.volume(gated(), "dense")
    with pytest.raises(ValueError, match="not on a compact one"):
        pruning.volume(pruning.compact(gated()), "regular")


# --- expectations --------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", sorted(COSTS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_expectation_is_the_full_cost_when_all_is_certain(metric, dtype):
    model = gated(10, 2, dtype=dtype)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 60
    expected = COSTS[metric].expected(model)
    assert expected.dtype == dtype
    assert expected.shape == ()
    assert expected.item() == pytest.approx(COSTS[metric].full(model), rel=1e-6)


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_without_gates_the_expectation_is_the_cost(metric):
    plain = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    assert COSTS[metric].expected(plain).item() == COSTS[metric].exact(plain)


def test_the_volume_s_gradient_is_area_times_p_times_1_minus_p():
    rng, model = np.random.default_rng(0), gated(10, 2, image_shape=(7, 5, 3))
    random_gates(model, rng)
    expected_volume = pruning.expected_volume(model)
    expected_volume.backward()
    value, areas = 0.0, {"stem": 35, 0: 35, 1: 4 * 3, 2: 2 * 2}
    named = [("stem", model.stem_gate)]
    for k, block in enumerate(model.blocks):
        named += [(k, gate) for gate in (block.gate1, block.gate2, block.shortcut_gate)]
    for where, gate in named:
        log_alpha = gate.location().data
        p = 1 / (1 + np.exp(-(log_alpha - 2 / 3 * math.log(0.1 / 1.1))))
        value += areas[where] * p.sum()
        raised = log_alpha != gate.log_alpha.data  # the clamp has no slope
        closed_form = np.where(raised, 0, areas[where] * p * (1 - p))
        np.testing.assert_allclose(gate.log_alpha.grad, closed_form, rtol=1e-12, atol=1e-300)
    assert expected_volume.item() == pytest.approx(value, rel=1e-12)
    assert all(p.grad is None for name, p in model.named_parameters() if "log_alpha" not in name)


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_gradients_of_the_expectations(metric):
    model = gated(10, 1, image_shape=(4, 4, 1))
    gates = [model.stem_gate, model.blocks[1].shortcut_gate, model.blocks[0].gate2]

    def cost(*values):
        for gate, value in zip(gates, values, strict=True):
            gate.log_alpha = value
        return COSTS[metric].expected(model) * 1e-3

    rng = np.random.default_rng(0)
    tb.gradcheck(cost, [rng.uniform(-2, 2, gate.log_alpha.shape) for gate in gates], rtol=1e-5)


@pytest.mark.parametrize("metric", sorted(COSTS))
@pytest.mark.parametrize("make", [partial(gated, 10, 1), partial(gated, 10, 2),
                                  partial(post_activation, "basic"),
                                  partial(post_activation, "bottlenecks")])  # fmt: skip
def test_the_expectation_by_enumeration(metric, make):
    """Ten features may be open or closed, the others are certain: 1024 weighted networks.

    Each gate has an open feature, so that no path is ever dead: there the expectation
    is exact (it takes the features that a path writes as independent of whether others are alive).
    """
    rng, model = np.random.default_rng(1), make(image_shape=(5, 4, 1))
    gates = pruning.gates_of(model)
    for gate in gates:
        gate.log_alpha.data[...] = np.where(rng.random(gate.log_alpha.shape) < 0.3, 80, -80)
        gate.log_alpha.data[0] = 80
    features = [(gate, j) for gate in gates for j in range(1, gate.log_alpha.size)]
    uncertain = [features[i] for i in rng.choice(len(features), 10, replace=False)]
    p = rng.uniform(0.1, 0.9, 10)
    for (gate, j), probability in zip(uncertain, p, strict=True):
        gate.log_alpha.data[j] = math.log(probability / (1 - probability)) + 2 / 3 * math.log(
            1 / 11
        )
    expected = COSTS[metric].expected(model).item()
    total = 0.0
    for pattern in itertools.product([False, True], repeat=10):
        for (gate, j), is_open in zip(uncertain, pattern, strict=True):
            gate.log_alpha.data[j] = 80 if is_open else -80
        weight = np.prod(np.where(pattern, p, 1 - p))
        total += weight * COSTS[metric].exact(model)
    assert expected == pytest.approx(total, rel=1e-9)


def test_the_expected_volume_by_sampling():
    """The mean over sampled gates of the neurons behind open ones, within five standard errors."""
    rng, model = np.random.default_rng(0), gated(10, 1, image_shape=(4, 4, 1)).train()
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.uniform(-3, 3, gate.log_alpha.shape)
    found = pruning.sites(model)
    with tb.no_grad():
        samples = [
            sum(site.area * int((site.gate.sample().data > 0).sum()) for site in found)
            for _ in range(400)
        ]
        expected = ag.sum(pruning.expected_volume(model)).item()
    assert abs(np.mean(samples) - expected) < 5 * np.std(samples) / math.sqrt(len(samples))
