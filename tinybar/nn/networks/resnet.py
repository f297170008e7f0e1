"""ResNet-50 and the small ResNets of CIFAR, full and compact [He et al. 2016a]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import autograd as ag
from ...autograd import Tensor
from ..gates import Gate, GateFactory
from ..layers import BatchNorm2d, Conv2d, Linear
from .postactivation import MixedPostActivationBlock, PostActivationBlock
from .residual import (
    POOL,
    Block,
    CompactNetwork,
    ResidualNetwork,
    check_shape,
    make_gate,
    scatter_channels,
)


class ResNet(ResidualNetwork):
    """A stem of 64 or 16 channels, groups of blocks, global average pooling, logits.

    groups: (widths of a block's convolutions, blocks, stride of the first of them) of each group.
    pools: whether the stem is 7x7 of stride 2, followed by a 3x3 max pooling of stride 2.
    """

    family = "post"

    def __init__(
        self,
        name: str,
        groups: Sequence[tuple[Sequence[int], int, int]],
        pools: bool,
        num_classes: int,
        image_shape: tuple[int, int, int],
        gate: GateFactory | None,
    ):
        super().__init__(image_shape, num_classes)
        self.name: str = name
        self.pools: bool = pools
        channels = 64 if pools else 16
        self.stem: Conv2d = stem_conv(image_shape[2], channels, pools)
        self.stem_bn: Any = BatchNorm2d(channels)
        self.stem_gate: Gate | None = make_gate(gate, channels, keep_one=True)
        self.blocks: list[Block] = []
        for widths, count, first_stride in groups:
            for k in range(count):
                stride = first_stride if k == 0 else 1
                self.blocks.append(PostActivationBlock(channels, widths, stride, gate))
                channels = widths[-1]
        self.linear: Linear = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.draw()
        h = stem(self, x, z[self.stem_gate])
        for block in self.blocks:
            h = block(h, z)
        return self.linear(ag.global_avg_pool2d(h))


class CompactResNet(CompactNetwork):
    """What is left of a `ResNet`. layout["blocks"]: arguments of `MixedPostActivationBlock`."""

    family = "post"

    def __init__(self, layout: dict[str, Any]):
        super().__init__(layout)
        self.pools: bool = layout["pools"]
        channels = len(layout["stem"]["writes"])
        self.stem: Conv2d = stem_conv(self.image_shape[2], channels, self.pools)
        self.stem_bn: Any = BatchNorm2d(channels)
        self.blocks: list[Block] = [MixedPostActivationBlock(**block) for block in layout["blocks"]]
        self.linear: Linear = Linear(self.last_width, self.num_classes)

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


def stem(model: ResNet | CompactResNet, x: Tensor, z: Tensor | None = None) -> Tensor:
    """The first residual signal.   z: of the stem's gate, or None."""
    h = model.stem_bn.relu(model.stem(x), z)
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
