"""Residual blocks: the full one, whose features gates can switch off, and the compact one.

A residual signal h runs through the blocks of a group; each block adds a delta to it (Fig. 3a).
A pooling block begins a new signal, from a 1x1 shortcut convolution (Fig. 3b).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ... import autograd as ag
from ...autograd import Tensor
from ...runtime.arrays import array_module, to_numpy
from ..gates import HardConcrete
from ..layers import BatchNorm2d, Conv2d, only
from ..module import Module

GateFactory = Callable[[int], HardConcrete]
WORTH_SKIPPING = 0.6  # share of the weight's entries that is open, above which skipping the rest
# saves nothing: selecting costs time, and products of odd sizes are slower


class Signal(NamedTuple):
    """The residual signal, and which of its features exist.

    h: (N, H, W, C). live: (C,) booleans, the features that some open gate has written since the
    group began; None in a network without gates, where all exist.
    """

    h: Tensor
    live: object | None


def sample(gate: HardConcrete | None) -> Tensor | None:
    """z of the gate, or None where there is none."""
    return None if gate is None else gate.sample()


def is_open(z: Tensor | None):
    """(C,) booleans: which features z lets through; None without a gate."""
    return None if z is None else z.data > 0


def _indices(chosen) -> np.ndarray:
    """Where the booleans are true, on the host."""
    return np.flatnonzero(to_numpy(chosen))


def vital(gate: HardConcrete | None) -> HardConcrete | None:
    """The gate, made vital: it never closes altogether."""
    if gate is not None:
        gate.vital = True
    return gate


class GatedConv(NamedTuple):
    """A convolution of a block and the gate on its output features: what can be pruned.

    bn: the batch norm of its output, if that has one before it is read or summed. A gate inside a
    path stands behind bn and the ReLU, the gate on a delta or on a shortcut behind bn alone.
    """

    name: str
    conv: Conv2d
    gate: HardConcrete | None
    bn: BatchNorm2d | None


class PreActivationBlock(Module):
    """h + gate2 conv2(gate1 relu(bn2(conv1(x)))),  x = live relu(bn1(h))   [He et al. 2016b].

    Where the shape changes, h on the left is replaced by gate_s conv_1x1(x): a pooling block, whose
    first convolution and shortcut have the stride.

    A feature of h that no gate has written is zero, but batch norm turns it into beta, which the
    convolutions would read. `live` removes it, so that this network computes what the network
    without that feature computes. A delta only counts as written if something reached it: if gate1
    is closed everywhere, conv2 has nothing to read and its output is zero.
    """

    shortcut_bn = None

    def __init__(self, c_in: int, c_out: int, stride: int, gate: GateFactory | None):
        make_gate = gate if gate is not None else lambda channels: None
        self.bn1 = BatchNorm2d(c_in)
        self.conv1 = Conv2d(c_in, c_out, 3, stride, padding=1)
        self.gate1 = make_gate(c_out)
        self.bn2 = BatchNorm2d(c_out)
        self.conv2 = Conv2d(c_out, c_out, 3, padding=1)
        self.gate2 = make_gate(c_out)
        self.stride = stride
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv2d(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_gate = vital(make_gate(c_out)) if is_pooling else None

    def forward(self, signal: Signal) -> Signal:
        return self._of_all(signal, self._draws())

    def forward_open(self, signal: Signal) -> Signal:
        """The same, but what was drawn closed is not computed, where that saves time.

        A feature whose z is 0 is zero, and the gradient of its parameters is: of its own, of its
        gate's, and of what reads it. Only the running statistics of its batch norm would move, and
        do not. Where nothing at all is open, features are none, and their arrays empty: parameters
        get their gradient of zeros all the same, without which Adam would leave them as they are.
        """
        draws = self._draws()
        reads = _indices(signal.live)
        open1, open2, open_s = (None if z is None else _indices(is_open(z)) for z in draws)
        (_, _, c_in, c_out), pairs = self.conv1.weight.shape, len(open1) * (len(reads) + len(open2))
        if pairs > WORTH_SKIPPING * c_out * (c_in + c_out):
            return self._of_all(signal, draws)
        return self._of_open(signal, draws, reads, open1, open2, open_s)

    def _draws(self) -> tuple[Tensor | None, ...]:
        """z of the two convolutions and of the shortcut, which there may be none of."""
        return sample(self.gate1), sample(self.gate2), sample(self.shortcut_gate)

    def _of_all(self, signal: Signal, draws) -> Signal:
        (h, live), (z1, z2, z) = signal, draws
        x = self.bn1.relu(h, live)
        inner = self.bn2.relu(self.conv1(x), z1)
        delta = self.conv2(inner, z2)
        if self.shortcut is not None:
            h, live = self.shortcut(x, z), is_open(z)
        if live is not None:
            live = live | (is_open(z2) & is_open(z1).any())
        return Signal(h + delta, live)

    def _of_open(self, signal: Signal, draws, reads, open1, open2, open_s) -> Signal:
        """reads: indices of the features that exist; open1, open2, open_s: of those drawn open."""
        (h, live), (z1, z2, z) = signal, draws
        x = self.bn1.relu_part(only(h, reads), reads)
        if self.shortcut is not None:
            live = is_open(z)
            h = spread(self.shortcut.part(x, reads, open_s, z), len(live), open_s)
        inner = self.bn2.relu_part(self.conv1.part(x, reads, open1), open1, z1)
        delta = self.conv2.part(inner, open1, open2, z2)
        if len(open1):
            live = live | is_open(z2)
        return Signal(ag.scatter_add(h, delta, open2), live)

    def path(self) -> list[GatedConv]:
        """The convolutions that make the delta, in order; each reads what the one before writes."""
        return [
            GatedConv("conv1", self.conv1, self.gate1, self.bn2),
            GatedConv("conv2", self.conv2, self.gate2, None),
        ]

    @property
    def reading_bn(self) -> BatchNorm2d:
        """The batch norm, with a ReLU behind it, through which it reads the signal."""
        return self.bn1


def spread(features: Tensor, width: int, writes) -> Tensor:
    """A residual signal of `width` features, zero but for `writes`, which are the given ones."""
    if len(writes) == width:
        return features
    zeros = array_module(features.data).zeros
    signal = Tensor(zeros((*features.shape[:3], width), features.dtype))
    return ag.scatter_add(signal, features, writes)


class MixedBlock(Module):
    """The mixed-connectivity block:  D = f(h[I_in]);  h' = scatter_add(h, D, I_out)   (Supp. 2).

    Only features that exist are computed. h has `width` features, those that exist when the group
    ends. f is the sequence of a pre-activation block, bn1, relu, conv1, bn2, relu, conv2.

    reads: I_in, the features of h that exist when the block begins.   inner: [features of conv1],
    [] if the block only consists of its shortcut; the bare number in old files.   writes: I_out.
    shortcut: I_s, the features of the new signal that its 1x1 convolution writes, or None.
    """

    shortcut_gate = shortcut_bn = None

    def __init__(
        self,
        width: int,
        reads: list[int],
        inner: list[int] | int,
        writes: list[int],
        stride: int = 1,
        shortcut: list[int] | None = None,
    ):
        self.width, self.reads, self.writes, self.shortcut_writes = width, reads, writes, shortcut
        self.stride = stride
        inner = inner if isinstance(inner, int) else sum(inner)
        self.bn1 = BatchNorm2d(len(reads))
        self.conv1 = Conv2d(len(reads), inner, 3, stride, padding=1) if inner else None
        self.bn2 = BatchNorm2d(inner) if inner else None
        self.conv2 = Conv2d(inner, len(writes), 3, padding=1) if inner else None
        self.shortcut = None if shortcut is None else Conv2d(len(reads), len(shortcut), 1, stride)

    def forward(self, h: Tensor) -> Tensor:
        x = self.bn1.relu(ag.take(h, self.reads))
        if self.shortcut is not None:
            h = spread(self.shortcut(x), self.width, self.shortcut_writes)
        if self.conv1 is None:
            return h
        delta = self.conv2(self.bn2.relu(self.conv1(x)))
        if len(self.writes) == self.width:
            return h + delta
        return ag.scatter_add(h, delta, self.writes)

    def path(self) -> list[GatedConv]:
        """The convolutions that make the delta, in order."""
        if self.conv1 is None:
            return []
        return [
            GatedConv("conv1", self.conv1, None, self.bn2),
            GatedConv("conv2", self.conv2, None, None),
        ]

    @property
    def reading_bn(self) -> BatchNorm2d:
        """As that of the full block."""
        return self.bn1
