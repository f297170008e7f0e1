"""What all residual networks share, full and compact."""

from __future__ import annotations

import math

from ...autograd.windows import Geometry
from ..gates import HardConcrete
from ..layers import BatchNorm2d, Conv2d
from ..module import Module

POOL = Geometry.of(kernel=3, stride=2, padding=1)  # the max pooling behind a stem


class ResidualNetwork(Module):
    """A stem, blocks along residual signals, pooling, logits.

    image_shape: (H, W, C). Input (N, H, W, C), output: logits (N, num_classes).
    family: the kind of its blocks, in the layouts of compact networks.
    stem_bn: batch norm of the stem, a ReLU behind it. bn: that of the last signal, likewise.
    pools: whether a max pooling stands between the stem and the first block.
    shrinks: whether features whose gates are closed are skipped in computing, where the network
    can do that (an extension of the paper).
    """

    family: str
    stem_gate: HardConcrete | None = None
    stem_bn: BatchNorm2d | None = None
    bn: BatchNorm2d | None = None
    pools = can_shrink = shrinks = False

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int):
        self.image_shape, self.num_classes = tuple(image_shape), num_classes

    def stem_size(self) -> tuple[int, int]:
        """(H, W) of the stem's output."""
        return output_size(self.stem, self.image_shape[:2])

    def signal_size(self) -> tuple[int, int]:
        """(H, W) of the residual signal that enters the first block."""
        size = self.stem_size()
        return POOL.output_size(*size) if self.pools else size


class CompactNetwork(ResidualNetwork):
    """A residual network of mixed-connectivity blocks: only the features that are alive.

    layout: numbers and lists of numbers, as in JSON, that tell the whole structure:
    {"family": ..., "pools": ..., "image_shape": [H, W, C], "num_classes": K, "stem": {"width": ...,
    "writes": [...]}, "blocks": [arguments of the family's mixed-connectivity block]}. Without the
    first two, as in old files, it is a wide residual network.
    """

    def __init__(self, layout: dict):
        super().__init__(layout["image_shape"], layout["num_classes"])
        self.layout = dict(layout)

    @property
    def last_width(self) -> int:
        """Features of the last residual signal."""
        return (self.layout["stem"], *self.layout["blocks"])[-1]["width"]


def output_size(conv: Conv2d, size: tuple[int, int]) -> tuple[int, int]:
    """(OH, OW) of a convolution's output for images of size (H, W)."""
    return Geometry.of(conv.kernel, conv.stride, conv.padding).output_size(*size)


def check_shape(num_classes: int, image_shape: tuple[int, int, int]) -> None:
    """Raises ValueError for what no network can be built for."""
    if num_classes < 2:
        raise ValueError(f"needs num_classes >= 2, got {num_classes}")
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(f"image_shape is (height, width, channels), got {image_shape}")


def count_parameters(model: Module) -> int:
    """Entries of all parameters, without the gates: they are gone once the network is pruned."""
    named = model.named_parameters()
    return sum(math.prod(p.shape) for name, p in named if not name.endswith("log_alpha"))
