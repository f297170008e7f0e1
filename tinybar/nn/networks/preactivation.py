"""Wide residual networks: the activation comes before the convolution [He et al. 2016b].

A residual signal h runs through the blocks of a group; each block adds a delta to it (Fig. 3a). A
pooling block begins a new residual signal, from a 1x1 shortcut convolution (Fig. 3b).
"""

from __future__ import annotations

from typing import NamedTuple

from ... import autograd as ag
from ...autograd import Tensor
from ..gates import GateFactory
from ..layers import BatchNorm2d, Conv2d, Linear
from ..module import Module
from .residual import (
    CompactNetwork,
    GatedConv,
    ResidualNetwork,
    check_shape,
    is_open,
    make_gate,
    sample,
    scatter_channels,
)

STEM_CHANNELS = 16


class Signal(NamedTuple):
    """The residual signal, and which of its channels exist.

    h: (N, H, W, C). live: (C,) booleans, the channels that some open gate has written since the
    group began; None in a network without gates, where all exist.
    """

    h: Tensor
    live: object | None


class PreActivationBlock(Module):
    """h + gate2 conv2(gate1 relu(bn2(conv1(x)))),  x = live relu(bn1(h)).

    Where the shape changes, h on the left is replaced by gate_s conv_1x1(x): a pooling block, whose
    first convolution and shortcut have the stride.

    A channel of h that no gate has written is zero, but batch norm turns it into beta, which the
    convolutions would read. `live` removes it, so that this network computes what the network
    without that channel computes. A delta is written only if something reaches it: if gate1 is
    closed everywhere, conv2 reads nothing and its output is zero.
    """

    shortcut_bn = None

    def __init__(self, c_in: int, c_out: int, stride: int, gate: GateFactory | None):
        self.bn1 = BatchNorm2d(c_in)
        self.conv1 = Conv2d(c_in, c_out, 3, stride, padding=1)
        self.gate1 = make_gate(gate, c_out)
        self.bn2 = BatchNorm2d(c_out)
        self.conv2 = Conv2d(c_out, c_out, 3, padding=1)
        self.gate2 = make_gate(gate, c_out)
        self.stride = stride
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv2d(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_gate = make_gate(gate, c_out, keep_one=True) if is_pooling else None

    def forward(self, signal: Signal) -> Signal:
        return self.gated(signal, *map(sample, (self.gate1, self.gate2, self.shortcut_gate)))

    def gated(self, signal: Signal, z1, z2, z) -> Signal:
        """The formula, for given gates: (C_out,) each, or None."""
        h, live = signal
        x = self.bn1.relu(h, live)
        delta = self.conv2(self.bn2.relu(self.conv1(x), z1), z2)
        if self.shortcut is not None:
            h, live = self.shortcut(x, z), is_open(z)
        if live is not None:
            live = live | (is_open(z2) & is_open(z1).any())
        return Signal(h + delta, live)

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order; each reads what the one before writes."""
        return [
            GatedConv("conv1", self.conv1, self.bn2, self.gate1),
            GatedConv("conv2", self.conv2, None, self.gate2),
        ]

    @property
    def reading_bn(self) -> BatchNorm2d:
        """The batch norm, with a ReLU behind it, through which it reads the residual signal."""
        return self.bn1


class MixedPreActivationBlock(Module):
    """The mixed-connectivity block:  D = f(h[I_in]);  h' = scatter_add(h, D, I_out)   (Supp. 2).

    Only live channels are computed. h has `width` channels, those that exist when the group ends.
    f is the path of a pre-activation block: bn1, relu, conv1, bn2, relu, conv2.

    reads: I_in, the channels of h that exist when the block begins.   inner: [channels of conv1],
    or [] if the block is its shortcut alone.   writes: I_out.
    shortcut: I_s, the channels of the new signal that its 1x1 convolution writes, or None.
    """

    shortcut_gate = shortcut_bn = None

    def __init__(
        self,
        width: int,
        reads: list[int],
        inner: list[int],
        writes: list[int],
        stride: int = 1,
        shortcut: list[int] | None = None,
    ):
        self.width, self.reads, self.writes, self.shortcut_writes = width, reads, writes, shortcut
        self.stride = stride
        self.bn1 = BatchNorm2d(len(reads))
        self.conv1 = self.bn2 = self.conv2 = None
        if inner:
            (channels,) = inner
            self.conv1 = Conv2d(len(reads), channels, 3, stride, padding=1)
            self.bn2 = BatchNorm2d(channels)
            self.conv2 = Conv2d(channels, len(writes), 3, padding=1)
        self.shortcut = None if shortcut is None else Conv2d(len(reads), len(shortcut), 1, stride)

    def forward(self, h: Tensor) -> Tensor:
        x = self.bn1.relu(ag.take(h, self.reads))
        if self.shortcut is not None:
            h = scatter_channels(self.shortcut(x), self.width, self.shortcut_writes)
        if self.conv1 is None:
            return h
        delta = self.conv2(self.bn2.relu(self.conv1(x)))
        if len(self.writes) == self.width:
            return h + delta
        return ag.scatter_add(h, delta, self.writes)

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order."""
        if self.conv1 is None:
            return []
        return [
            GatedConv("conv1", self.conv1, self.bn2, None),
            GatedConv("conv2", self.conv2, None, None),
        ]

    @property
    def reading_bn(self) -> BatchNorm2d:
        """As that of the full block."""
        return self.bn1


class WideResNet(ResidualNetwork):
    """WRN-depth-width: 3 groups of (depth - 4)/6 blocks of 16, 32, 64 times `width` channels.

    [Zagoruyko & Komodakis 2016]
    """

    family = "wide"

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        image_shape: tuple[int, int, int],
        gate: GateFactory | None,
    ):
        super().__init__(image_shape, num_classes)
        self.depth, self.width, self.name = depth, width, f"wrn-{depth}-{width}"
        self.stem = Conv2d(image_shape[2], STEM_CHANNELS, 3, padding=1)
        self.stem_gate = make_gate(gate, STEM_CHANNELS, keep_one=True)
        self.blocks = []
        c_in = STEM_CHANNELS
        for group, c_out in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                stride = 2 if group > 0 and k == 0 else 1
                self.blocks.append(PreActivationBlock(c_in, c_out, stride, gate))
                c_in = c_out
        self.bn = BatchNorm2d(c_in)
        self.linear = Linear(c_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = sample(self.stem_gate)
        signal = Signal(self.stem(x, z), is_open(z))
        for block in self.blocks:
            signal = block(signal)
        return head(self, *signal)


class CompactWideResNet(CompactNetwork):
    """What is left of a `WideResNet`. layout["blocks"]: arguments of `MixedPreActivationBlock`."""

    family = "wide"

    def __init__(self, layout: dict):
        super().__init__(layout)
        self.stem = Conv2d(self.image_shape[2], len(layout["stem"]["writes"]), 3, padding=1)
        self.blocks = [MixedPreActivationBlock(**block) for block in layout["blocks"]]
        self.bn = BatchNorm2d(self.last_width)
        self.linear = Linear(self.last_width, self.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.layout["stem"]
        h = scatter_channels(self.stem(x), stem["width"], stem["writes"])
        for block in self.blocks:
            h = block(h)
        return head(self, h)


def head(model: WideResNet | CompactWideResNet, h: Tensor, live=None) -> Tensor:
    """Logits from the last residual signal, of which the channels `live` exist."""
    return model.linear(ag.global_avg_pool2d(model.bn.relu(h, live)))


def wide_resnet(
    depth: int,
    width: int,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    gate: GateFactory | None = None,
) -> WideResNet:
    """A wide residual network, with random weights.

    gate: nn.HardConcrete for the network to prune, None for the plain one.
    Raises ValueError unless depth = 6n + 4 >= 10, width >= 1, num_classes >= 2.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"a wide ResNet has depth 6n + 4 (10, 16, 22, 28, ...), not {depth}")
    if width < 1:
        raise ValueError(f"needs width >= 1, got {width}")
    check_shape(num_classes, image_shape)
    return WideResNet(depth, width, num_classes, image_shape, gate)
