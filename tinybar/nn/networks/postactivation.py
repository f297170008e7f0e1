"""ResNet-50 and the small ResNets: the activation comes after the sum [He et al. 2016a].

    h' = relu(h + gate f(h)),   f = conv bn relu gate, conv bn relu gate, ..., conv bn

Where the shape changes, h on the right is replaced by gate_s bn_s(conv_1x1(h)): a pooling block,
which begins a new residual signal. The ReLU makes this simpler than the pre-activation networks:
a channel that no gate has written is zero, stays zero, and is read as zero.
"""

from __future__ import annotations

from ... import autograd as ag
from ...autograd import Tensor
from ..gates import GateFactory
from ..layers import BatchNorm2d, Conv2d, Linear
from ..module import Module
from .residual import (
    POOL,
    CompactNetwork,
    GatedConv,
    ResidualNetwork,
    check_shape,
    is_open,
    make_gate,
    sample,
    scatter_channels,
)

BASIC, BOTTLENECK = (3, 3), (1, 3, 1)  # kernels of a path; the first 3x3 has the stride


class ResidualPath(Module):
    """f: two convolutions (basic) or three (bottleneck), each with its batch norm and its gate.

    widths: the channels that each of them writes; none for a block that is its shortcut alone.
    """

    reading_bn = None  # the residual signal is read as it is

    def __init__(self, c_in: int, widths, stride: int, gate: GateFactory | None):
        self.stride = stride
        kernels = {0: (), 2: BASIC, 3: BOTTLENECK}[len(widths)]
        layers = [(None, None, None)] * 3
        for k, (kernel, c_out) in enumerate(zip(kernels, widths, strict=True)):
            step = stride if k == kernels.index(3) else 1
            conv = Conv2d(c_in, c_out, kernel, step, padding=kernel // 2)
            layers[k] = conv, BatchNorm2d(c_out), make_gate(gate, c_out)
            c_in = c_out
        (self.conv1, self.bn1, self.gate1) = layers[0]
        (self.conv2, self.bn2, self.gate2) = layers[1]
        (self.conv3, self.bn3, self.gate3) = layers[2]

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order; each reads what the one before writes."""
        steps = [
            GatedConv("conv1", self.conv1, self.bn1, self.gate1),
            GatedConv("conv2", self.conv2, self.bn2, self.gate2),
            GatedConv("conv3", self.conv3, self.bn3, self.gate3),
        ]
        return [step for step in steps if step.conv is not None]

    def delta(self, x: Tensor) -> Tensor:
        """gate f(x).

        Where all gates of a convolution inside are closed, nothing reaches the last one; but its
        batch norm would turn nothing into beta. The delta is zero then.
        """
        reached = None
        *inner, last = self.path()
        for step in inner:
            z = sample(step.gate)
            x = step.bn.relu(step.conv(x), z)
            if z is not None:
                reached = is_open(z).any() if reached is None else reached & is_open(z).any()
        z = sample(last.gate)
        return last.bn(last.conv(x), z if reached is None else z * Tensor(reached.astype(z.dtype)))


class PostActivationBlock(ResidualPath):
    """h' = relu(h + gate f(h)), or relu(gate_s bn_s(conv_1x1(h)) + gate f(h))."""

    def __init__(self, c_in: int, widths, stride: int, gate: GateFactory | None):
        super().__init__(c_in, widths, stride, gate)
        c_out = widths[-1]
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv2d(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_bn = BatchNorm2d(c_out) if is_pooling else None
        self.shortcut_gate = make_gate(gate, c_out, keep_one=True) if is_pooling else None

    def forward(self, h: Tensor) -> Tensor:
        delta = self.delta(h)
        if self.shortcut is not None:
            h = self.shortcut_bn(self.shortcut(h), sample(self.shortcut_gate))
        return ag.relu(h + delta)


class MixedPostActivationBlock(ResidualPath):
    """The mixed-connectivity block:  D = f(h[I_in]);  h' = relu(scatter_add(h, D, I_out)).

    As `MixedPreActivationBlock` (Supp. 2), but for the place of the activations.
    inner: the channels of all convolutions but the last; [] if the block is its shortcut alone.
    """

    shortcut_gate = None

    def __init__(
        self,
        width: int,
        reads: list[int],
        inner: list[int],
        writes: list[int],
        stride: int = 1,
        shortcut: list[int] | None = None,
    ):
        super().__init__(len(reads), (*inner, len(writes)) if inner else (), stride, gate=None)
        self.width, self.reads, self.writes, self.shortcut_writes = width, reads, writes, shortcut
        is_pooling = shortcut is not None
        self.shortcut = Conv2d(len(reads), len(shortcut), 1, stride) if is_pooling else None
        self.shortcut_bn = BatchNorm2d(len(shortcut)) if is_pooling else None

    def forward(self, h: Tensor) -> Tensor:
        x = ag.take(h, self.reads)
        if self.shortcut is not None:
            h = self.shortcut_bn(self.shortcut(x))
            h = scatter_channels(h, self.width, self.shortcut_writes)
        if self.conv1 is None:
            return ag.relu(h)
        delta = self.delta(x)
        if len(self.writes) == self.width:
            return ag.relu(h + delta)
        return ag.relu(ag.scatter_add(h, delta, self.writes))


class ResNet(ResidualNetwork):
    """A stem of 64 or 16 channels, groups of blocks, global average pooling, logits.

    groups: (widths of a block's convolutions, blocks, stride of the first of them) of each group.
    pools: whether the stem is 7x7 of stride 2, followed by a 3x3 max pooling of stride 2.
    """

    family = "post"

    def __init__(self, name, groups, pools, num_classes, image_shape, gate):
        super().__init__(image_shape, num_classes)
        self.name, self.pools = name, pools
        channels = 64 if pools else 16
        self.stem, self.stem_bn = stem_conv(image_shape[2], channels, pools), BatchNorm2d(channels)
        self.stem_gate = make_gate(gate, channels, keep_one=True)
        self.blocks = []
        for widths, count, first_stride in groups:
            for k in range(count):
                stride = first_stride if k == 0 else 1
                self.blocks.append(PostActivationBlock(channels, widths, stride, gate))
                channels = widths[-1]
        self.linear = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        h = stem(self, x)
        for block in self.blocks:
            h = block(h)
        return self.linear(ag.global_avg_pool2d(h))


class CompactResNet(CompactNetwork):
    """What is left of a `ResNet`. layout["blocks"]: arguments of `MixedPostActivationBlock`."""

    family = "post"

    def __init__(self, layout: dict):
        super().__init__(layout)
        self.pools, channels = layout["pools"], len(layout["stem"]["writes"])
        self.stem = stem_conv(self.image_shape[2], channels, self.pools)
        self.stem_bn = BatchNorm2d(channels)
        self.blocks = [MixedPostActivationBlock(**block) for block in layout["blocks"]]
        self.linear = Linear(self.last_width, self.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        layout = self.layout["stem"]
        h = scatter_channels(stem(self, x), layout["width"], layout["writes"])
        for block in self.blocks:
            h = block(h)
        return self.linear(ag.global_avg_pool2d(h))


def stem_conv(c_in: int, channels: int, pools: bool) -> Conv2d:
    """7x7 of stride 2 for the large images of ResNet-50, 3x3 for the small networks."""
    kernel, stride = (7, 2) if pools else (3, 1)
    return Conv2d(c_in, channels, kernel, stride, padding=kernel // 2)


def stem(model: ResNet | CompactResNet, x: Tensor) -> Tensor:
    """The first residual signal."""
    h = model.stem_bn.relu(model.stem(x), sample(model.stem_gate))
    return ag.max_pool2d(h, *POOL) if model.pools else h


def resnet50(
    num_classes: int,
    image_shape: tuple[int, int, int] = (128, 128, 3),
    gate: GateFactory | None = None,
) -> ResNet:
    """ResNet-50, with random weights; the stride of a pooling block is in its 3x3 convolution.

    gate: nn.HardConcrete for the network to prune, None for the plain one.
    Raises ValueError unless num_classes >= 2 and image_shape is (H, W, C).
    """
    check_shape(num_classes, image_shape)
    groups = [
        ((64, 64, 256), 3, 1),
        ((128, 128, 512), 4, 2),
        ((256, 256, 1024), 6, 2),
        ((512, 512, 2048), 3, 2),
    ]
    return ResNet("resnet50", groups, True, num_classes, image_shape, gate)


def small_resnet(
    depth: int,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    gate: GateFactory | None = None,
) -> ResNet:
    """ResNet-20, -32, -44, -56, -110 for small images [He et al. 2016a, Section 4.2].

    3 groups of (depth - 2)/6 blocks of 16, 32, 64 channels. Where the shape changes, the shortcut
    is a 1x1 convolution with batch norm (their option B), which can be pruned as the paper's
    pooling blocks are. gate and errors as `resnet50`; ValueError unless depth = 6n + 2 >= 8, too,
    and for 50, as the name resnet-50 is that of another network.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a small ResNet has depth 6n + 2 (20, 32, 44, 56, ...), not {depth}")
    if depth == 50:
        raise ValueError("resnet-50 is the large network, nn.resnet50: use depth 44 or 56")
    check_shape(num_classes, image_shape)
    count = (depth - 2) // 6
    groups = [((16, 16), count, 1), ((32, 32), count, 2), ((64, 64), count, 2)]
    return ResNet(f"resnet-{depth}", groups, False, num_classes, image_shape, gate)
