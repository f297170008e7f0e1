"""Wide residual networks, full and compact [Zagoruyko & Komodakis 2016]."""

from __future__ import annotations

from typing import Any

from ... import autograd as ag
from ...autograd import Tensor
from ..gates import Gate, GateFactory
from ..layers import BatchNorm2d, Conv2d, Linear
from .live import LIVE
from .preactivation import MixedPreActivationBlock, PreActivationBlock, Signal
from .residual import (
    Block,
    CompactNetwork,
    ResidualNetwork,
    check_shape,
    make_gate,
    scatter_channels,
)

STEM_CHANNELS = 16


class WideResNet(ResidualNetwork):
    """WRN-depth-width: 3 groups of (depth - 4)/6 blocks of 16, 32, 64 times `width` channels."""

    family = "wide"

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        image_shape: Any,
        gate: GateFactory | None,
        live: str,
    ):
        super().__init__(image_shape, num_classes)
        self.depth: int = depth
        self.width: int = width
        self.name: str = f"wrn-{depth}-{width}"
        self.live = live
        self.stem: Conv2d = Conv2d(image_shape[2], STEM_CHANNELS, 3, padding=1)
        self.stem_gate: Gate | None = make_gate(gate, STEM_CHANNELS, keep_one=True)
        self.blocks: list[Block] = []
        c_in = STEM_CHANNELS
        for group, c_out in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                stride = 2 if group > 0 and k == 0 else 1
                self.blocks.append(PreActivationBlock(c_in, c_out, stride, gate, LIVE[live]))
                c_in = c_out
        self.bn: Any = BatchNorm2d(c_in)
        self.linear: Linear = Linear(c_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.draw()
        stem = z[self.stem_gate]
        signal = Signal(self.stem(x, stem), None if stem is None else LIVE[self.live](stem))
        for block in self.blocks:
            signal = block(signal, z)
        return head(self, *signal)


class CompactWideResNet(CompactNetwork):
    """What is left of a `WideResNet`. layout["blocks"]: arguments of `MixedPreActivationBlock`."""

    family = "wide"

    def __init__(self, layout: dict[str, Any]):
        super().__init__(layout)
        self.stem: Conv2d = Conv2d(self.image_shape[2], len(layout["stem"]["writes"]), 3, padding=1)
        self.blocks: list[Block] = [MixedPreActivationBlock(**block) for block in layout["blocks"]]
        self.bn: Any = BatchNorm2d(self.last_width)
        self.linear: Linear = Linear(self.last_width, self.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.layout["stem"]
        h = scatter_channels(self.stem(x), stem["width"], stem["writes"])
        for block in self.blocks:
            h = block(h)
        return head(self, h)


def head(model: WideResNet | CompactWideResNet, h: Tensor, live: Tensor | None = None) -> Tensor:
    """Logits from the last residual signal, of which the channels with live > 0 exist."""
    return model.linear(ag.global_avg_pool2d(model.bn.relu(h, live)))


def wide_resnet(
    depth: int,
    width: int,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    gate: GateFactory | None = None,
    live: str = "hard",
) -> WideResNet:
    """A wide residual network, with random weights.

    gate: nn.HardConcrete for the network to prune, None for the plain one.
    live: "hard" or "soft", how a channel of a residual signal exists (`live.py`).
    Raises ValueError unless depth = 6n + 4 >= 10, width >= 1, num_classes >= 2, live is known.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"a wide ResNet has depth 6n + 4 (10, 16, 22, 28, ...), not {depth}")
    if width < 1:
        raise ValueError(f"needs width >= 1, got {width}")
    if live not in LIVE:
        raise ValueError(f"live is one of {', '.join(LIVE)}, not {live!r}")
    check_shape(num_classes, image_shape)
    return WideResNet(depth, width, num_classes, image_shape, gate, live)
