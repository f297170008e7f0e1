"""What networks with the activation after the sum cost: by hand, written again, and the paper's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import post_activation, random_gates, set_gate

from tinybar import nn, pruning
from tinybar.nn.networks.postactivation import BASIC, BOTTLENECK
from tinybar.pruning import COSTS

COUNTED = ("volume", "flops", "params")


def alive(gate) -> set[int]:
    return {int(i) for i in np.flatnonzero(gate.alive())}


def count(model: nn.ResNet, kernels, regular: bool) -> dict[str, int]:
    """Walk through the network and list what is computed: (kernel, reads, writes, area)."""
    groups = [[alive(model.stem_gate)]]
    for block in model.blocks:
        if block.shortcut is not None:
            groups.append([alive(block.shortcut_gate)])
        masks = [alive(step.gate) for step in block.path()]
        if all(masks):
            groups[-1].append(masks[-1])
    unions = [set().union(*group) for group in groups]

    def halved(size, stride=2):
        return [-(-n // stride) for n in size]

    group, signal = 0, groups[0][0]
    size = halved(model.image_shape[:2], 2 if model.pools else 1)
    stem_kernel, written = 7 if model.pools else 3, unions[0] if regular else signal
    rows = [(stem_kernel, model.image_shape[2], len(written), math.prod(size))]
    size = halved(size) if model.pools else size
    for block in model.blocks:
        reads, before, size = unions[group] if regular else signal, size, halved(size, block.stride)
        masks = [alive(step.gate) for step in block.path()]
        if block.shortcut is not None:
            group, signal = group + 1, alive(block.shortcut_gate)
            written = unions[group] if regular else signal
            rows.append((1, len(reads), len(written), math.prod(size)))
        if all(masks):
            signal, last = signal | masks[-1], unions[group] if regular else masks[-1]
            for kernel, written in zip(kernels, [*masks[:-1], last], strict=True):
                before = size if kernel == 3 else before
                rows.append((kernel, len(reads), len(written), math.prod(before)))
                reads = written
    return {
        "volume": sum(writes * area for _, _, writes, area in rows),
        "flops": sum(2 * k**2 * reads * writes * area for k, reads, writes, area in rows),
        "params": sum(k**2 * reads * writes for k, reads, writes, _ in rows),
    }


@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["bottlenecks", "basic"]),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3)),
    connectivity=st.sampled_from(["mixed", "regular"]),
)
def test_the_count_written_again(seed, kind, shape, connectivity):
    model = random_gates(post_activation(kind, shape), np.random.default_rng(seed))
    kernels = BOTTLENECK if kind == "bottlenecks" else BASIC
    expected = count(model, kernels, connectivity == "regular")
    assert {name: COSTS[name].exact(model, connectivity) for name in COUNTED} == expected


@pytest.fixture
def by_hand():
    """Two bottlenecks on 8x8 grey images: the stem has the area 16, pooling leaves 4."""
    shape, gate = (8, 8, 1), nn.HardConcrete
    model = nn.ResNet("little", [((2, 2, 4), 2, 1)], True, 3, shape, gate).eval()
    first, second = model.blocks
    for gate, features in (
        (model.stem_gate, {0, 1, 2}),
        (first.shortcut_gate, {0}), (first.gate1, {0}), (first.gate2, {0, 1}),
        (first.gate3, {1, 2}),
        (second.gate1, {0, 1}), (second.gate2, set()), (second.gate3, {3}),
    ):  # fmt: skip
        open_ = np.isin(np.arange(gate.log_alpha.size), list(features))
        set_gate(gate, open_, np.random.default_rng(0))
    return model


def test_one_network_counted_by_hand(by_hand):
    # The second block is dead, as its middle convolution is: all three count nothing.
    assert pruning.volume(by_hand) == 3 * 16 + (1 + 1 + 2 + 2) * 4
    pairs_of_4 = 3 * 1 + (3 * 1 + 9 * 1 * 2 + 2 * 2)  # shortcut; conv1, conv2, conv3
    assert pruning.flops(by_hand) == 2 * (49 * 3 * 16 + pairs_of_4 * 4)


def test_regular_connectivity_counted_by_hand(by_hand):
    # The union is {0, 1, 2}: feature 3 is only written by the dead block.
    assert pruning.volume(by_hand, "regular") == 3 * 16 + (3 + 1 + 2 + 3) * 4
    pairs_of_4 = 3 * 3 + (3 * 1 + 9 * 1 * 2 + 2 * 3)
    assert pruning.flops(by_hand, "regular") == 2 * (49 * 3 * 16 + pairs_of_4 * 4)


@pytest.mark.parametrize(
    ("k", "stem_1x1", "stem_7x7"),
    [(2, 4.0, 3.9), (4, 16.0, 14.7), (8, 63.7, 53.2), (16, 253.7, 178.6)],
)
def test_the_paper_s_flop_factors_of_random_pruning(k, stem_1x1, stem_7x7):
    """Supp. 6.3: 1/k of every convolution's features is left, and all read 1/k of theirs.

    The printed factors come out if the stem, whose three inputs stay, is counted as 1x1.
    """
    model = nn.resnet50(10, gate=nn.HardConcrete)

    def cost(share, stem_kernel):
        for gate in pruning.gates_of(model):
            n = gate.log_alpha.size
            gate.log_alpha.data[...] = np.where(np.arange(n) < n // share, 1.0, -5.0)
        stem, *others = (layer.cost(COSTS["flops"].of) for layer in pruning.hard_pruned(model))
        return stem * stem_kernel**2 / 49 + sum(others)

    assert round(cost(1, 1) / cost(k, 1), 1) == stem_1x1
    assert round(cost(1, 7) / cost(k, 7), 1) == stem_7x7
