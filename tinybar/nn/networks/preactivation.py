"""Residual blocks with the activation before the convolution [He et al. 2016b].

A residual signal h runs through the blocks of a group; each block adds a delta to it (Fig. 3a). A
pooling block begins a new residual signal, from a 1x1 shortcut convolution (Fig. 3b).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import autograd as ag
from ...autograd import Tensor
from ..gate_vector import Drawn
from ..gates import Gate, GateFactory
from ..layers import BatchNorm2d, Conv2d
from .live import after, hard
from .residual import Block, GatedConv, make_gate, scatter_channels


class Signal(NamedTuple):
    """The residual signal, and which of its channels exist.

    h: (N, H, W, C). live: (C,), above 0 for the channels that some open gate has written since the
    group began, else 0 (`live.py`); None in a network without gates, where all exist.
    """

    h: Tensor
    live: Tensor | None


class PreActivationPath(Block):
    """relu(bn1(h)), conv1, bn2, relu, gate1, conv2, gate2: what reads h and makes the delta."""

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order; each reads what the one before writes."""
        if self.conv1 is None:
            return []
        return [
            GatedConv("conv1", self.conv1, self.bn2, self.gate1),
            GatedConv("conv2", self.conv2, None, self.gate2),
        ]

    @property
    def reading_bn(self) -> BatchNorm2d:
        """The batch norm, with a ReLU behind it, through which it reads the residual signal."""
        return self.bn1


class PreActivationBlock(PreActivationPath):
    """h + gate2 conv2(gate1 relu(bn2(conv1(x)))),  x = live relu(bn1(h)).

    Where the shape changes, h on the left is replaced by gate_s conv_1x1(x): a pooling block, whose
    first convolution and shortcut have the stride.

    A channel of h that no gate has written is zero, but batch norm turns it into beta, which the
    convolutions would read. `live` removes it, so that this network computes what the network
    without that channel computes. A delta is written only if something reaches it: if gate1 is
    closed everywhere, conv2 reads nothing and its output is zero. indicator: l of `live.py`.
    """

    def __init__(
        self, c_in: int, c_out: int, stride: int, gate: GateFactory | None, indicator: Any = hard
    ):
        self.indicator: Any = indicator
        self.bn1: Any = BatchNorm2d(c_in)
        self.conv1: Any = Conv2d(c_in, c_out, 3, stride, padding=1)
        self.gate1: Gate | None = make_gate(gate, c_out)
        self.bn2: Any = BatchNorm2d(c_out)
        self.conv2: Any = Conv2d(c_out, c_out, 3, padding=1)
        self.gate2: Gate | None = make_gate(gate, c_out)
        self.stride: int = stride
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv2d(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_gate = make_gate(gate, c_out, keep_one=True) if is_pooling else None

    def forward(self, signal: Signal, z: Drawn) -> Signal:
        """z: of every gate of the network."""
        return self.gated(signal, z[self.gate1], z[self.gate2], z[self.shortcut_gate])

    def gated(self, signal: Signal, z1: Any, z2: Any, z: Any) -> Signal:
        """The formula, for given gates: (C_out,) each, or None."""
        h, live = signal
        x = self.bn1.relu(h, live)
        delta = self.conv2(self.bn2.relu(self.conv1(x), z1), z2)
        if self.shortcut is not None:
            h = self.shortcut(x, z)
        return Signal(h + delta, self.live_after(live, z1, z2, z))

    def live_after(self, live: Any, z1: Any, z2: Any, z: Any) -> Any:
        """(C_out,): `live` of h'. A shortcut begins another signal; a delta counts if reached."""
        if live is None:
            return None
        if z is not None:
            live = self.indicator(z)
        return after(live, z1, z2, self.indicator)


class MixedPreActivationBlock(PreActivationPath):
    """The mixed-connectivity block:  D = f(h[I_in]);  h' = scatter_add(h, D, I_out)   (Supp. 2).

    Only live channels are computed. h has `width` channels, those that exist when the group ends.
    f is the path of a pre-activation block: bn1, relu, conv1, bn2, relu, conv2.

    reads: I_in, the channels of h that exist when the block begins.   inner: [channels of conv1],
    or [] if the block is its shortcut alone.   writes: I_out.
    shortcut: I_s, the channels of the new signal that its 1x1 convolution writes, or None.
    """

    def __init__(
        self, width: int, reads: Any, inner: Any, writes: Any, stride: int = 1, shortcut: Any = None
    ):
        self.width, self.reads, self.writes, self.shortcut_writes = width, reads, writes, shortcut
        self.stride: int = stride
        self.bn1: Any = BatchNorm2d(len(reads))
        if inner:
            (channels,) = inner
            self.conv1: Any = Conv2d(len(reads), channels, 3, stride, padding=1)
            self.bn2: Any = BatchNorm2d(channels)
            self.conv2: Any = Conv2d(channels, len(writes), 3, padding=1)
        self.shortcut = None if shortcut is None else Conv2d(len(reads), len(shortcut), 1, stride)

    def forward(self, h: Tensor) -> Tensor:
        x = self.bn1.relu(ag.take(h, self.reads))
        if self.shortcut is not None:
            h = scatter_channels(self.shortcut(x), self.width, self.shortcut_writes)
        if self.conv1 is None:
            return h
        delta = self.conv2(self.bn2.relu(self.conv1(x)))
        return ag.scatter_add(h, delta, self.writes)
