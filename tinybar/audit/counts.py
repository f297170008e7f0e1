"""What networks cost, counted by hand and by enumeration (Eq. 4, Section 3.3)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .. import nn, pruning
from ..nn import HardConcrete
from .checks import assign, closed_form, host, randomise, relative, unless
from .gates import distribution, unstretched

OPEN, SHUT = 60.0, -60.0  # log alphas of gates that are certain


def gated(image_shape: tuple[int, int, int] = (4, 4, 1)) -> nn.WideResNet:
    """WRN-10-1: three blocks of 16, 32 and 64 channels; the second and third have shortcuts."""
    return nn.wide_resnet(10, 1, 4, image_shape, HardConcrete).astype(np.float64).eval()


def gates_with_areas(model: Any) -> list[tuple[HardConcrete, int]]:
    """Every gate and the area of its convolution; a stride of 2 halves the sides, rounding up."""
    height, width, _ = model.image_shape
    found = [(model.stem_gate, height * width)]
    for block in model.blocks:
        height, width = -(-height // block.stride), -(-width // block.stride)
        three = (block.gate1, block.gate2, block.shortcut_gate)
        found += [(gate, height * width) for gate in three if gate is not None]
    return found


def expected_volume_by_hand(model: Any) -> float:
    """L_S = sum_l A_l sum_i (1 - Q(0)), with Supp. Eq. 3 and the clamp of `keep_one`.."""
    total = 0.0
    for gate, area in gates_with_areas(model):
        log_alpha = host(gate.log_alpha).copy()
        if gate.keep_one:
            best = log_alpha.argmax()
            log_alpha[best] = max(log_alpha[best], 0.0)
        total += area * float((1 - distribution(unstretched(0), log_alpha)).sum())
    return total


# --- exact counts ---------------------------------------------------------------------------------

# Channels whose gates are open: stem; then per block shortcut, inner and outer convolution.
# The last block's inner convolution is dead, so its outer one computes nothing, whatever its gate.
# The residual signals hold {0, 1, 2}, then {0 to 4}; {0, 5, 6, 7} in the second group; {1, 2}.
ALIVE: tuple[tuple[Any, ...], ...] = (
    ({0, 1, 2},),
    (None, {0, 1}, {2, 3, 4}),
    ({0, 5}, {1}, {5, 6, 7}),
    ({1, 2}, set(), {3, 4, 5}),
)


def worked_example() -> nn.WideResNet:
    """The network whose open gates are ALIVE."""
    model = gated()
    gates: list[Any] = [model.stem_gate]
    for block in model.blocks:
        gates += [block.shortcut_gate, block.gate1, block.gate2]
    for gate, alive in zip(gates, itertools.chain(*ALIVE), strict=True):
        if gate is not None:
            is_open = np.isin(np.arange(gate.log_alpha.size), sorted(alive))
            assign(gate.log_alpha, np.where(is_open, OPEN, SHUT))
    return model


def _matches(model, volume: int, flops: int, connectivity: str = "mixed") -> float:
    found = pruning.volume(model, connectivity), pruning.flops(model, connectivity)
    return relative(found[0], volume) + relative(found[1], flops)


@closed_form("costs", "WRN-28-12: V = 3,112,960, 15,087,796,224 FLOPs", "Section 5.1", 0.0)
def wide_resnet_28_12(rng):
    """Layer by layer: the stem; per group a shortcut, 2 x 4 convolutions, areas 32^2, 16^2, 8^2."""
    volume, flops, before = 16 * 32**2, 2 * 9 * 3 * 16 * 32**2, 16
    for channels, area in ((192, 32**2), (384, 16**2), (768, 8**2)):
        volume += 9 * channels * area
        flops += 2 * area * channels * (before + 9 * before + 7 * 9 * channels)
        before = channels
    by_hand = (volume, flops) == (3_112_960, 15_087_796_224)
    return unless(by_hand, _matches(nn.build("wrn-28-12", 10), volume, flops))


@closed_form("costs", "ResNet-50: V = 3,629,056, 2,669,150,208 FLOPs", "Section 5.1", 0.0)
def resnet_50(rng):
    """Images of 128x128: the stem; per group a shortcut and bottlenecks, areas 32^2 to 4^2.

    The first bottleneck of a group reads the group before: its 1x1 convolution has that area.
    """
    volume, flops, before, last_area = 64 * 64**2, 2 * 49 * 3 * 64 * 64**2, 64, 32**2
    for inner, blocks, area in ((64, 3, 32**2), (128, 4, 16**2), (256, 6, 8**2), (512, 3, 4**2)):
        outer = 4 * inner
        volume += inner * (last_area + (blocks - 1) * area) + blocks * inner * area
        volume += (1 + blocks) * outer * area
        flops += 2 * before * (inner * last_area + outer * area)
        flops += 2 * area * (blocks - 1) * outer * inner
        flops += 2 * area * blocks * inner * (9 * inner + outer)
        before, last_area = outer, area
    by_hand = (volume, flops) == (3_629_056, 2_669_150_208)
    return unless(by_hand, _matches(nn.resnet50(10), volume, flops))


@closed_form("costs", "volume and FLOPs of a pruned network", "Eq. 4", 0.0)
def pruned_network(rng):
    """Mixed connectivity: a WRN-10-1 with 19 open channels, counted on paper."""
    volume = (3 + 2 + 3) * 16 + (2 + 1 + 3) * 4 + 2 * 1
    first = 9 * (1 * 3 + 3 * 2 + 2 * 3) * 16
    second = (5 * 2 + 9 * (5 * 1 + 1 * 3)) * 4
    third = 4 * 2
    return _matches(worked_example(), volume, 2 * (first + second + third))


@closed_form("costs", "volume and FLOPs with regular connectivity", "Section 4.2, Table 2", 0.0)
def regular_connectivity(rng):
    """All tensors of a residual sum share the union of their channels: 5, 4 and 2 of them."""
    volume = (5 + 2 + 5) * 16 + (4 + 1 + 4) * 4 + 2 * 1
    first = 9 * (1 * 5 + 5 * 2 + 2 * 5) * 16
    second = (5 * 4 + 9 * (5 * 1 + 1 * 4)) * 4
    third = 4 * 2
    return _matches(worked_example(), volume, 2 * (first + second + third), "regular")


@closed_form("costs", "volume and FLOPs of the compact network's arrays", "Eq. 4", 0.0)
def arrays_of_the_compact_network(rng):
    """Weight shapes of the compact network times output areas; 5 random networks."""
    error = 0.0
    for _ in range(5):
        model = randomise(gated((9, 7, 3)), rng)
        small = pruning.compact(model)
        height, width, _ = small.image_shape
        convs = [(small.stem, height * width)]
        for block in small.blocks:
            height, width = -(-height // block.stride), -(-width // block.stride)
            three = (block.shortcut, block.conv1, block.conv2)
            convs += [(conv, height * width) for conv in three if conv is not None]
        volume = sum(conv.weight.shape[3] * area for conv, area in convs)
        flops = sum(2 * math.prod(conv.weight.shape) * area for conv, area in convs)
        error += _matches(model, volume, flops) + _matches(small, volume, flops)
    return error


@closed_form("costs", "hard pruning keeps the budget (neurons above it)", "Section 3.2", 0.0)
def hard_pruning(rng):
    """V <= B, the lowest log alpha closed first, and none closed in vain; five budgets."""
    over = 0.0
    for share in (0.5, 0.25, 0.125, 0.0625, 0.04):
        model, cost = randomise(gated((8, 8, 3)), rng), pruning.COSTS["volume"]
        before = {gate: host(gate.log_alpha).copy() for gate in pruning.gates_of(model)}
        target = int(share * cost.full(model))
        pruning.enforce_budget(model, cost, target)
        over = max(over, pruning.volume(model) - target)
        closed = [
            (value, gate, k)
            for gate, values in before.items()
            for k, value in enumerate(values)
            if value != host(gate.log_alpha)[k]
        ]
        if closed:
            value, gate, k = max(closed, key=lambda entry: entry[0])
            gate.log_alpha.data[k] = value
            over += unless(pruning.volume(model) > target)
    return over


# --- expectations ---------------------------------------------------------------------------------


@closed_form("costs", "expected volume L_S", "Section 3.3", 1e-12)
def expected_volume(rng):
    """Areas and probabilities by hand."""
    model = randomise(gated((9, 7, 3)), rng)
    return relative(pruning.expected_volume(model), expected_volume_by_hand(model))


@closed_form("costs", "gradient of L_S = A p (1 - p)", "Section 3.3", 1e-12)
def gradient_of_the_expected_volume(rng):
    """p from Supp. Eq. 3; the channel that `keep_one` clamps has no slope."""
    model, errors = randomise(gated((9, 7, 3)), rng), []
    assign(model.stem_gate.log_alpha, rng.uniform(-5, -2, 16))
    pruning.expected_volume(model).backward()
    for gate, area in gates_with_areas(model):
        log_alpha = host(gate.log_alpha)
        p = 1 - distribution(unstretched(0), log_alpha)
        slope = area * p * (1 - p)
        best = log_alpha.argmax()
        if gate.keep_one and log_alpha[best] < 0:
            slope[best] = 0
        errors.append(relative(gate.log_alpha.grad, slope))
    return max(errors)


def by_enumeration(metric: str, rng: np.random.Generator) -> float:
    """E[cost] by the 256 networks of 8 uncertain channels, each weighted with its probability.

    All other gates are certain, and every convolution has a channel that is surely open: no path is
    ever dead. (L_S counts a path's open channels whether or not the path is alive.)
    """
    small = {"basic": ((16, 16), 1, 1), "bottleneck": ((2, 2, 8), 1, 2)}
    models: list[nn.ResidualNetwork] = [gated()]
    for name, group in small.items():
        made = nn.ResNet(name, [group, group], False, 4, (4, 4, 1), HardConcrete)
        models.append(made.astype(np.float64).eval())
    return max(_expectation_error(model, metric, rng) for model in models)


def _expectation_error(model, metric: str, rng) -> float:
    cost = pruning.COSTS[metric]
    gates: list[Any] = pruning.gates_of(model)
    for gate in gates:
        assign(gate.log_alpha, np.where(rng.random(gate.log_alpha.size) < 0.3, OPEN, SHUT))
        gate.log_alpha.data[0] = OPEN
    uncertain = [(gates[k % len(gates)], 1 + k // len(gates)) for k in range(8)]
    p = rng.uniform(0.1, 0.9, 8)
    for (gate, k), probability in zip(uncertain, p, strict=True):
        logit = math.log(probability / (1 - probability))
        gate.log_alpha.data[k] = logit - 2 / 3 * math.log(11)  # Supp. Eq. 5 solved for log alpha
    found, total = cost.expected(model).item(), 0.0
    for pattern in itertools.product([False, True], repeat=8):
        for (gate, k), is_open in zip(uncertain, pattern, strict=True):
            gate.log_alpha.data[k] = OPEN if is_open else SHUT
        total += float(np.where(pattern, p, 1 - p).prod()) * cost.exact(model)
    return relative(found, total)


@closed_form("costs", "L_S is the expectation of V while no path is dead", "Section 3.3", 1e-9)
def expected_volume_by_enumeration(rng):
    """256 networks of each family, weighted with their probabilities."""
    return by_enumeration("volume", rng)


@closed_form("costs", "L_S of the FLOP metric is that of the FLOPs", "Section 3.3", 1e-9)
def expected_flops_by_enumeration(rng):
    """256 networks of each family, weighted with their probabilities."""
    return by_enumeration("flops", rng)


@closed_form("costs", "L_S of the parameter metric is that of the weights", "Section 3.3", 1e-9)
def expected_parameters_by_enumeration(rng):
    """256 networks of each family, weighted with their probabilities."""
    return by_enumeration("params", rng)
