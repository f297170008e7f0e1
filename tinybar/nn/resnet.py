"""Wide residual networks, full and compact [Zagoruyko & Komodakis 2016]."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from .. import autograd as ag
from ..autograd import Tensor
from ..autograd.windows import Geometry
from .blocks import (
    GateFactory,
    MixedBlock,
    PreActivationBlock,
    Signal,
    is_open,
    sample,
    spread,
    vital,
)
from .gates import HardConcrete
from .layers import BatchNorm2d, Conv2d, Linear
from .module import Module

STEM_FEATURES = 16


class ResidualNetwork(Module):
    """What the full and the compact network share: stem, blocks, batch norm, pooling, logits.

    image_shape: (H, W, C). Input (N, H, W, C), output: logits (N, num_classes).
    """

    stem_gate: HardConcrete | None = None

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int):
        self.image_shape, self.num_classes = tuple(image_shape), num_classes

    def head(self, h: Tensor, live=None) -> Tensor:
        x = self.bn.relu(h, live)
        return self.linear(ag.global_avg_pool2d(x))

    def signal_size(self) -> tuple[int, int]:
        """(H, W) of the residual signal that enters the first block."""
        return output_size(self.stem, self.image_shape[:2])


def output_size(conv: Conv2d, size: tuple[int, int]) -> tuple[int, int]:
    """(OH, OW) of a convolution's output for images of size (H, W)."""
    return Geometry.of(conv.kernel, conv.stride, conv.padding).output_size(*size)


class WideResNet(ResidualNetwork):
    """WRN-depth-width: 3 groups of (depth - 4)/6 blocks of 16, 32, 64 times `width` features.

    shrinks: whether features whose gates are closed are skipped: those drawn closed for the batch
    in training, the dead ones in evaluation (an extension of the paper,
    `PreActivationBlock.forward_open`); for networks with gates.
    """

    shrinks = False

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        image_shape: tuple[int, int, int],
        gate: GateFactory | None,
    ):
        super().__init__(image_shape, num_classes)
        self.depth, self.width = depth, width
        self.stem = Conv2d(image_shape[2], STEM_FEATURES, 3, padding=1)
        self.stem_gate = vital(gate(STEM_FEATURES)) if gate is not None else None
        self.blocks = []
        channels = STEM_FEATURES
        for group, features in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                stride = 2 if group > 0 and k == 0 else 1
                self.blocks.append(PreActivationBlock(channels, features, stride, gate))
                channels = features
        self.bn = BatchNorm2d(channels)
        self.linear = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = sample(self.stem_gate)
        signal = Signal(self.stem(x, z), is_open(z))
        for block in self.blocks:
            signal = block.forward_open(signal) if self.shrinks else block(signal)
        return self.head(*signal)


class CompactResNet(ResidualNetwork):
    """A residual network of mixed-connectivity blocks: only the features that are alive.

    layout: numbers and lists of numbers, as in JSON, that tell the whole structure:
    {"image_shape": [H, W, C], "num_classes": K, "stem": {"width": ..., "writes": [...]},
    "blocks": [arguments of MixedBlock]}.
    """

    def __init__(self, layout: Mapping):
        super().__init__(layout["image_shape"], layout["num_classes"])
        self.layout = dict(layout)
        self.stem = Conv2d(self.image_shape[2], len(layout["stem"]["writes"]), 3, padding=1)
        self.blocks = [MixedBlock(**block) for block in layout["blocks"]]
        features = (layout["stem"], *layout["blocks"])[-1]["width"]
        self.bn = BatchNorm2d(features)
        self.linear = Linear(features, self.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        h = spread(self.stem(x), **self.layout["stem"])
        for block in self.blocks:
            h = block(h)
        return self.head(h)


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
    if width < 1 or num_classes < 2:
        raise ValueError(f"needs width >= 1 and num_classes >= 2, got {width} and {num_classes}")
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(f"image_shape is (height, width, channels), got {image_shape}")
    return WideResNet(depth, width, num_classes, image_shape, gate)


def build(
    name: str,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    gate: GateFactory | None = None,
) -> WideResNet:
    """The network called `name`: wrn-DEPTH-WIDTH. Raises ValueError for an unknown name."""
    match = re.fullmatch(r"wrn-(\d{1,4})-(\d{1,4})", name)
    if match is None:
        raise ValueError(f"unknown model {name!r}: use wrn-DEPTH-WIDTH, such as wrn-16-4")
    return wide_resnet(int(match[1]), int(match[2]), num_classes, image_shape, gate)


def count_parameters(model: Module) -> int:
    """Entries of all parameters, without the gates: they are gone once the network is pruned."""
    named = model.named_parameters()
    return sum(math.prod(p.shape) for name, p in named if not name.endswith("log_alpha"))
