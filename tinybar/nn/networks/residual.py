"""What residual networks share: gated convolutions, the full network, the compact one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from ... import autograd as ag
from ...autograd import Tensor
from ...autograd.windows import Geometry
from ...runtime.arrays import array_module
from ..gate_vector import Drawn, GateVector, drawn
from ..gates import Gate, GateFactory
from ..layers import Conv2d, Linear
from ..module import Module

LARGEST = 1 << 16  # height and width of an image: those of JPEG
POOL = Geometry.of(kernel=3, stride=2, padding=1)  # the max pooling behind a stem


class GatedConv(NamedTuple):
    """A convolution of a block with the batch norm of its output and the gate behind both.

    bn: a BatchNorm2d, or None where the output is not normalised before it is read or summed.
    Between bn and gate there is a ReLU, but for the last convolution of a path.
    """

    name: str
    conv: Conv2d
    bn: Any
    gate: Gate | None


def make_gate(gate: GateFactory | None, channels: int, keep_one: bool = False) -> Gate | None:
    """The gates of `channels` channels, or None for a network without gates.

    Raises TypeError for what is not a `Gate`: no count would see it.
    """
    if gate is None:
        return None
    made = gate(channels)
    if not isinstance(made, Gate):
        raise TypeError(f"a gate is a subclass of nn.Gate, {type(made).__name__} is not")
    made.keep_one = keep_one
    return made


def scatter_channels(x: Tensor, width: int, index: Sequence[int] | np.ndarray) -> Tensor:
    """`width` channels, zero but for `index`, which are those of x: (N, H, W, len(index))."""
    if len(index) == width:
        return x
    zeros = array_module(x.data).zeros((*x.shape[:3], width), x.dtype)
    return ag.scatter_add(Tensor(zeros), x, index)


class Block(Module):
    """A block of a residual network. What it does not have is None.

    stride: of the delta, and of the shortcut. reading_bn: the batch norm through which it reads the
    residual signal. width: channels of the signal; reads, writes, shortcut_writes: those of them
    that a mixed-connectivity block reads and writes.
    """

    stride: int
    shortcut: Any = None  # no `Conv2d | None`: every use would have to ask again
    shortcut_bn: Any = None
    shortcut_gate: Gate | None = None
    conv1: Any = None
    conv2: Any = None
    conv3: Any = None
    bn1: Any = None
    bn2: Any = None
    bn3: Any = None
    gate1: Gate | None = None
    gate2: Gate | None = None
    gate3: Gate | None = None
    width: int
    reads: list[int]
    writes: list[int]
    shortcut_writes: Any

    @property
    def reading_bn(self) -> Any:
        """None: the residual signal is read as it is."""
        return None

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order; each reads what the one before writes."""
        raise NotImplementedError


class ResidualNetwork(Module):
    """A stem, blocks along residual signals, global average pooling, logits.

    image_shape: (H, W, C). Input (N, H, W, C), output: logits (N, num_classes).
    family: the kind of its blocks, in the layouts of compact networks.
    stem_bn: batch norm of the stem, with a ReLU behind it. bn: that of the last residual signal.
    pools: whether a max pooling stands between the stem and the first block.
    live: how a channel of a residual signal exists, one of `LIVE`, where there are gates.
    """

    family: str
    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    stem: Conv2d
    stem_gate: Gate | None = None
    stem_bn: Any = None
    blocks: list[Block]
    bn: Any = None
    linear: Linear
    pools: bool = False
    live: str = "hard"
    _gates: tuple[Any, ...] | None = None  # all gates, and these as one vector

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int):
        height, width, channels = image_shape
        self.image_shape, self.num_classes = (height, width, channels), num_classes

    def gate_vector(self) -> GateVector | None:
        """Its gates as one vector; None without gates, and where they cannot be one."""
        return self._all_gates()[1]

    def draw(self) -> Drawn:
        """z of every gate."""
        return drawn(*self._all_gates())

    def _all_gates(self) -> tuple[Any, ...]:
        if self._gates is None:
            gates = gates_of(self)
            self._gates = gates, GateVector.of(gates)
        return self._gates

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of images x: (N, H, W, C)."""
        return super().forward(x)  # which says that there is none

    def signal_size(self) -> tuple[int, int]:
        """(H, W) of the residual signal that the first block reads."""
        size = output_size(self.stem, self.image_shape[:2])
        return POOL.output_size(*size) if self.pools else size


class CompactNetwork(ResidualNetwork):
    """A residual network of mixed-connectivity blocks, without dead channels.

    layout: numbers and lists of numbers, as in JSON, that give the whole structure:
    {"family": ..., "pools": ..., "image_shape": [H, W, C], "num_classes": K, "stem": {"width": ...,
    "writes": [...]}, "blocks": [arguments of the family's mixed-connectivity block]}.
    """

    def __init__(self, layout: dict[str, Any]):
        super().__init__(layout["image_shape"], layout["num_classes"])
        self.layout: dict[str, Any] = dict(layout)

    @property
    def last_width(self) -> int:
        """Channels of the last residual signal."""
        return (self.layout["stem"], *self.layout["blocks"])[-1]["width"]


def output_size(conv: Conv2d, size: tuple[int, int]) -> tuple[int, int]:
    """(OH, OW) of a convolution's output for images of size (H, W)."""
    return Geometry.of(conv.kernel, conv.stride, conv.padding).output_size(*size)


def check_shape(num_classes: int, image_shape: tuple[int, int, int]) -> None:
    """Raises ValueError unless num_classes >= 2 and image_shape is (H, W, C), all integers."""
    if not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"needs num_classes >= 2, got {num_classes!r}")
    is_integers = len(image_shape) == 3 and all(isinstance(n, Integral) for n in image_shape)
    if not is_integers or min(image_shape) < 1 or max(image_shape) > LARGEST:
        raise ValueError(
            f"image_shape is (height, width, channels), each in [1, {LARGEST}], got {image_shape}"
        )


def gates_of(model: Module) -> list[Gate]:
    """All gates of the model, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, Gate)]


def count_parameters(model: Module) -> int:
    """Entries of all parameters but those of the gates, which are gone once it is pruned."""
    of_gates = {id(p) for gate in gates_of(model) for p in gate.parameters()}
    return sum(math.prod(p.shape) for p in model.parameters() if id(p) not in of_gates)
