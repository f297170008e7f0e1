"""Gated networks and the compact ones that are left of them, written out in plain loops."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import autograd as ag
from .. import nn, pruning
from ..autograd import no_grad
from ..nn import (
    LIVE,
    BatchNorm2d,
    Conv2d,
    HardConcrete,
    MixedPreActivationBlock,
    PostActivationBlock,
    PreActivationBlock,
)
from ..nn.gate_vector import drawn
from ..nn.networks.preactivation import Signal
from .checks import assign, closed_form, gate, host, randomise, relative, tensor

# --- the layers, in loops -------------------------------------------------------------------------


def convolve(x: Any, conv: Conv2d) -> Any:
    """y[i, j] = sum_uv x[i s + u - p, j s + v - p] weight[u, v], s the stride, p the padding."""
    weight = host(conv.weight)
    (p, _), (s, _) = np.broadcast_to(conv.padding, 2), np.broadcast_to(conv.stride, 2)
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    kh, kw = weight.shape[:2]
    height, width = (padded.shape[1] - kh) // s + 1, (padded.shape[2] - kw) // s + 1
    y = np.zeros((len(x), height, width, weight.shape[3]))
    for i in range(height):
        for j in range(width):
            for u in range(kh):
                for v in range(kw):
                    y[:, i, j] += padded[:, i * s + u, j * s + v] @ weight[u, v]
    return y


def normalise(x: Any, bn: BatchNorm2d) -> Any:
    """gamma (x - mean)/sqrt(var + eps) + beta, with the running statistics."""
    mean, var = host(bn.running_mean), host(bn.running_var)
    return host(bn.gamma) * (x - mean) / np.sqrt(var + 1e-5) + host(bn.beta)


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return np.maximum(x, 0)


def z_by_hand(gate: HardConcrete) -> Any:
    """Supp. Eq. 4 at the mean noise (without the clamp of `keep_one`)."""
    return np.clip(1.2 / (1 + np.exp(-1.5 * host(gate.log_alpha))) - 0.1, 0, 1)


# --- gates ----------------------------------------------------------------------------------------


@closed_form("networks", "a gate multiplies channels", "Eq. 2", 1e-14)
def gate_of_channels(rng):
    """h_c times z_c over the spatial dimensions, in loops."""
    h, each = rng.standard_normal((2, 3, 4, 5)), gate(rng.uniform(-4, 2, 5))
    z, expected = z_by_hand(each), np.empty_like(h)
    for index in np.ndindex(h.shape):
        expected[index] = h[index] * z[index[-1]]
    return relative(each(tensor(h)), expected)


@closed_form("networks", "a gate on a convolution's weight gates its output", "Eq. 1", 1e-12)
def gate_on_weights(rng):
    """The output in loops, times z; bias included."""
    conv, z = Conv2d(3, 4, 3, stride=2, padding=1, bias=True).astype(np.float64), rng.random(4)
    z[1] = 0
    assign(conv.bias, rng.standard_normal(4))
    x = rng.standard_normal((2, 6, 5, 3))
    return relative(conv(tensor(x), tensor(z)), z * (convolve(x, conv) + host(conv.bias)))


@closed_form("networks", "a gate on gamma and beta gates relu(bn(x))", "Eq. 1", 1e-12)
def gate_on_batch_norm(rng):
    """relu(bn(x)) z with the running statistics, negative gamma and closed gates among them."""
    bn, z = randomise(BatchNorm2d(6), rng), rng.random(6)
    z[2] = 0
    x = rng.standard_normal((2, 3, 4, 6))
    return relative(bn.relu(tensor(x), tensor(z)), z * relu(normalise(x, bn)))


@closed_form("networks", "a gated pooling block", "Eq. 1, Fig. 3b", 1e-12)
def gated_block(rng):
    """In loops, every gate multiplied where the paper has it: on the channels that are read."""
    return max(_gated_block(LIVE["hard"], np.sign, rng), _gated_block(LIVE["soft"], abs, rng))


def _gated_block(indicator, by_hand, rng) -> float:
    """by_hand: the indicator, for arrays in [0, 1]."""
    block: Any = randomise(PreActivationBlock(5, 6, 2, HardConcrete, indicator), rng)
    block.gate1.log_alpha.data[0] = block.gate2.log_alpha.data[1] = 1.0
    block.shortcut_gate.log_alpha.data[2] = 1.0
    live = by_hand(np.array([0.3, 0, 1, 0.7, 0]))
    h = rng.standard_normal((2, 5, 4, 5)) * (live > 0)
    x = live * relu(normalise(h, block.bn1))
    z1, z2, zs = (z_by_hand(g) for g in (block.gate1, block.gate2, block.shortcut_gate))
    inner = z1 * relu(normalise(convolve(x, block.conv1), block.bn2))
    expected = zs * convolve(x, block.shortcut) + z2 * convolve(inner, block.conv2)
    found, now = block(Signal(tensor(h), tensor(live)), drawn(nn.gates_of(block)))
    then = 1 - (1 - by_hand(zs)) * (1 - by_hand(z2))
    return max(relative(found, expected), relative(now, then))


@closed_form("networks", "a gated pooling block of ResNet-50", "Eq. 1, Fig. 3b", 1e-12)
def gated_bottleneck(rng):
    """The same with the activation after the sum; and nothing is added once an inner gate is shut.

    The last batch norm would make beta of the nothing that arrives.
    """
    block = randomise(PostActivationBlock(5, (3, 4, 6), 2, HardConcrete), rng)
    for each in (block.gate1, block.gate2, block.gate3, block.shortcut_gate):
        each.log_alpha.data[0] = 1.0
    h = relu(rng.standard_normal((2, 5, 4, 5)))
    x = z_by_hand(block.gate1) * relu(normalise(convolve(h, block.conv1), block.bn1))
    x = z_by_hand(block.gate2) * relu(normalise(convolve(x, block.conv2), block.bn2))
    delta = z_by_hand(block.gate3) * normalise(convolve(x, block.conv3), block.bn3)
    short = normalise(convolve(h, block.shortcut), block.shortcut_bn)
    short = z_by_hand(block.shortcut_gate) * short
    whole = relative(block(tensor(h), drawn(nn.gates_of(block))), relu(short + delta))
    assign(block.gate2.log_alpha, -4)
    return max(whole, relative(block(tensor(h), drawn(nn.gates_of(block))), relu(short)))


# --- mixed connectivity ---------------------------------------------------------------------------


@closed_form("networks", "scatterAdd", "Supp. 2", 0.0)
def scatter_add(rng):
    """h[I_out] + delta there, h elsewhere, bit for bit; and h[I_in]."""
    h, index = rng.standard_normal((2, 3, 3, 6)), [4, 0, 3]
    delta = rng.standard_normal((2, 3, 3, 3))
    expected = h.copy()
    for k, i in enumerate(index):
        expected[..., i] = h[..., i] + delta[..., k]
    found = ag.scatter_add(tensor(h), tensor(delta), index)
    taken = np.stack([h[..., i] for i in index], axis=-1)
    return max(relative(found, expected), relative(ag.take(tensor(h), index), taken))


@closed_form("networks", "mixed-connectivity block", "Supp. 2", 1e-12)
def mixed_block(rng):
    """D = f(h[I_in]) in loops, then added channel by channel."""
    block = randomise(MixedPreActivationBlock(5, reads=[0, 2, 3], inner=[2], writes=[1, 2, 4]), rng)
    h = rng.standard_normal((2, 4, 3, 5))
    x = relu(normalise(h[..., [0, 2, 3]], block.bn1))
    delta = convolve(relu(normalise(convolve(x, block.conv1), block.bn2)), block.conv2)
    expected = h.copy()
    for k, i in enumerate([1, 2, 4]):
        expected[..., i] += delta[..., k]
    return relative(block(tensor(h)), expected)


@closed_form("networks", "mixed-connectivity pooling block", "Supp. 2, Fig. 3b", 1e-12)
def mixed_pooling_block(rng):
    """Shortcut and delta in loops, each written to its own channels of the new residual signal."""
    arguments = {"reads": [1, 3], "inner": [3], "writes": [0, 1, 5], "shortcut": [1, 4]}
    block = randomise(MixedPreActivationBlock(6, stride=2, **arguments), rng)
    h = rng.standard_normal((2, 5, 4, 4))
    x = relu(normalise(h[..., [1, 3]], block.bn1))
    delta = convolve(relu(normalise(convolve(x, block.conv1), block.bn2)), block.conv2)
    expected = np.zeros((*delta.shape[:3], 6))
    expected[..., [1, 4]] += convolve(x, block.shortcut)
    expected[..., [0, 1, 5]] += delta
    return relative(block(tensor(h)), expected)


@closed_form("networks", "compact = masked: wide residual network", "Section 4.2", 1e-10)
def compact_equals_masked(rng):
    """WRN-10-1 with random weights, statistics and gates, ten times; once with all gates shut."""
    make = lambda form: nn.wide_resnet(10, 1, 4, (8, 8, 3), HardConcrete, form)  # noqa: E731
    return max(_masked_and_compact(partial(make, form), rng) for form in LIVE)


@closed_form("networks", "compact = masked: bottlenecks, as in ResNet-50", "Section 4.2", 1e-10)
def compact_bottlenecks(rng):
    """Images of odd sizes, so that strides and pooling meet the margin."""
    groups, shape = [((4, 4, 8), 2, 1), ((8, 8, 16), 2, 2)], (15, 13, 3)
    make = lambda: nn.ResNet("", groups, True, 4, shape, HardConcrete)  # noqa: E731
    return _masked_and_compact(make, rng)


@closed_form("networks", "compact = masked: basic blocks, as in ResNet-20", "Section 4.2", 1e-10)
def compact_basic_blocks(rng):
    """Two blocks each on the stem's residual signal and on another."""
    groups, shape = [((16, 16), 2, 1), ((32, 32), 2, 2)], (9, 8, 3)
    make = lambda: nn.ResNet("", groups, False, 4, shape, HardConcrete)  # noqa: E731
    return _masked_and_compact(make, rng)


def _masked_and_compact(make, rng) -> float:
    """The largest relative difference, in both connectivities."""
    errors = []
    for attempt in range(10):
        model = randomise(make(), rng)
        gates: list[Any] = pruning.gates_of(model)
        for each in gates:
            assign(
                each.log_alpha,
                rng.uniform(-4, rng.choice([-1.7, -1.5, 0, 3]), each.log_alpha.shape),
            )
            if attempt == 0:
                assign(each.log_alpha, -4)
        x = tensor(rng.standard_normal((2, *model.image_shape)))
        with no_grad():
            expected = host(model(x))
            errors += [
                relative(pruning.compact(model, connectivity)(x), expected)
                for connectivity in ("mixed", "regular")
            ]
    return max(errors)


@closed_form("networks", "initial weights are Kaiming-normal (std. errors)", "He et al. 2015", 5.0)
def kaiming(rng):
    """73,728 weights of a 3x3 convolution: mean 0, variance 2 / (9 C_in)."""
    weight = host(Conv2d(64, 128, 3).weight).astype(np.float64)
    n, variance = weight.size, 2 / (9 * 64)
    mean = abs(weight.mean()) / math.sqrt(variance / n)
    return max(mean, abs(weight.var() / variance - 1) / math.sqrt(2 / n))
