"""Skipping the channels whose gates are closed: the same gradients for less work.

An extension of the paper. A channel whose z is 0 in a minibatch is zero, and so is the gradient of
all that it alone depends on: its own parameters, its gate's, and those that read it. Such channels
need not be computed. Nothing is removed: in the next minibatch they may be open. The one
difference is that the running statistics of their batch norm do not move.

A convolution or batch norm without any open channel works on empty arrays. Its parameters still get
their gradient of zeros, without which Adam would not decay their moments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor
from ..runtime.arrays import to_numpy
from .gate_vector import Drawn
from .layers import BatchNorm2d, Conv2d
from .networks.preactivation import PreActivationBlock, Signal
from .networks.residual import ResidualNetwork, scatter_channels

WORTH_SKIPPING = 0.6  # share of a block's weights that is open, above which selecting the open
# channels costs more time than it saves: products of odd sizes are slower


def skip_closed(model: ResidualNetwork) -> None:
    """Let a wide residual network with gates skip its closed channels from now on.

    Raises ValueError for any other network.
    """
    blocks = [block for block in model.blocks if isinstance(block, PreActivationBlock)]
    if len(blocks) < len(model.blocks):
        raise ValueError(f"--skip-closed is for wide residual networks, not for {model.name}")
    model.blocks = [SkippingBlock(block) for block in blocks]


class SkippingBlock(PreActivationBlock):
    """A block with the parameters, buffers and gates of another, and the same output."""

    def __init__(self, block: PreActivationBlock):
        vars(self).update(vars(block))

    def forward(self, signal: Signal, drawn: Drawn) -> Signal:
        h, live = signal
        z1, z2, z = drawn[self.gate1], drawn[self.gate2], drawn[self.shortcut_gate]
        reads, open1, open2 = map(indices_open, (live, z1, z2))
        (_, _, c_in, c_out), pairs = self.conv1.weight.shape, len(open1) * (len(reads) + len(open2))
        if pairs > WORTH_SKIPPING * c_out * (c_in + c_out):
            return self.gated(signal, z1, z2, z)
        x = bn_relu_of(self.bn1, select(h, reads), reads, live)
        if self.shortcut is not None:
            open_s = indices_open(z)
            h = scatter_channels(conv_of(self.shortcut, x, reads, open_s, z), c_out, open_s)
        inner = bn_relu_of(self.bn2, conv_of(self.conv1, x, reads, open1), open1, z1)
        delta = conv_of(self.conv2, inner, open1, open2, z2)
        return Signal(ag.scatter_add(h, delta, open2), self.live_after(live, z1, z2, z))


def indices_open(z: Any) -> np.ndarray:
    """Where z > 0, on the host."""
    return np.flatnonzero(to_numpy(z.data) > 0)


def select(x: Tensor, index: Any, axis: int = -1) -> Tensor:
    """The entries `index` of x along an axis; x itself where those are all."""
    return x if len(index) == x.shape[axis] else ag.take(x, index, axis)


def conv_of(conv: Conv2d, x: Tensor, reads: Any, writes: Any, gate: Tensor | None = None) -> Tensor:
    """The channels `writes` of conv(..., gate), where x: (N, H, W, len(reads)) are those it reads.

    All others of its inputs are zero.
    """
    weight = select(select(conv.weight, reads, axis=2), writes, axis=3)
    gate = None if gate is None else select(gate, writes)
    return ag.conv2d(x, weight, None, conv.stride, conv.padding, gate=gate)


def bn_relu_of(bn: BatchNorm2d, x: Tensor, channels: Any, gate: Tensor | None = None) -> Tensor:
    """bn.relu of the channels that x consists of; the running statistics of the others stay."""
    if len(channels) == bn.gamma.shape[0]:
        return bn.relu(x, gate)
    gamma, beta = select(bn.gamma, channels), select(bn.beta, channels)
    gate = None if gate is None else select(gate, channels)
    mean, var = bn.running_mean[channels], bn.running_var[channels]
    settings = bn.training, bn.momentum, bn.eps
    y = ag.batch_norm_relu(x, gamma, beta, mean, var, *settings, gate=gate)
    if bn.training:
        bn.running_mean[channels], bn.running_var[channels] = mean, var
    return y
