"""Residual blocks with the activation after the sum [He et al. 2016a].

    h' = relu(h + gate f(h)),   f = conv bn relu gate, conv bn relu gate, ..., conv bn

Where the shape changes, h on the right is replaced by gate_s bn_s(conv_1x1(h)): a pooling block,
which begins a new residual signal. The ReLU makes this simpler than the pre-activation blocks:
a channel that no gate has written is zero, stays zero, and is read as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import autograd as ag
from ...autograd import Tensor
from ..gate_vector import NO_GATES, Drawn
from ..gates import Gate, GateFactory
from ..layers import BatchNorm2d, Conv2d
from .live import any_open
from .residual import Block, GatedConv, make_gate, scatter_channels

BASIC, BOTTLENECK = (3, 3), (1, 3, 1)  # kernels of a path; the first 3x3 has the stride


class ResidualPath(Block):
    """f: two convolutions (basic) or three (bottleneck), each with its batch norm and its gate.

    widths: the channels that each of them writes; none for a block that is its shortcut alone.
    """

    def __init__(
        self, c_in: int, widths: Sequence[int], stride: int, gate: GateFactory | None
    ) -> None:
        self.stride = stride
        kernels: tuple[int, ...] = {0: (), 2: BASIC, 3: BOTTLENECK}[len(widths)]
        for k, (kernel, c_out) in enumerate(zip(kernels, widths, strict=True), 1):
            step = stride if k == 1 + kernels.index(3) else 1
            conv = Conv2d(c_in, c_out, kernel, step, padding=kernel // 2)
            layers = {"conv": conv, "bn": BatchNorm2d(c_out), "gate": make_gate(gate, c_out)}
            vars(self).update({f"{name}{k}": layer for name, layer in layers.items()})
            c_in = c_out

    def path(self) -> list[GatedConv]:
        """The convolutions of the delta, in order; each reads what the one before writes."""
        steps = [
            GatedConv("conv1", self.conv1, self.bn1, self.gate1),
            GatedConv("conv2", self.conv2, self.bn2, self.gate2),
            GatedConv("conv3", self.conv3, self.bn3, self.gate3),
        ]
        return [step for step in steps if step.conv is not None]

    def delta(self, x: Tensor, z: Drawn) -> Tensor:
        """gate f(x).   z: of every gate of the network.

        Where all gates of a convolution inside are closed, nothing reaches the last one; but its
        batch norm would turn nothing into beta. The delta is zero then.
        """
        reached = None
        *inner, last = self.path()
        for step in inner:
            inside = z[step.gate]
            x = step.bn.relu(step.conv(x), inside)
            if inside is not None:
                is_any = any_open(inside.data)
                reached = is_any if reached is None else reached * is_any
        written = z[last.gate]
        if reached is not None:
            written = written * Tensor(reached)
        return last.bn(last.conv(x), written)


class PostActivationBlock(ResidualPath):
    """h' = relu(h + gate f(h)), or relu(gate_s bn_s(conv_1x1(h)) + gate f(h))."""

    def __init__(
        self, c_in: int, widths: Sequence[int], stride: int, gate: GateFactory | None
    ) -> None:
        super().__init__(c_in, widths, stride, gate)
        c_out = widths[-1]
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut: Any = Conv2d(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_bn: Any = BatchNorm2d(c_out) if is_pooling else None
        self.shortcut_gate: Gate | None = (
            make_gate(gate, c_out, keep_one=True) if is_pooling else None
        )

    def forward(self, h: Tensor, z: Drawn) -> Tensor:
        """z: of every gate of the network."""
        delta = self.delta(h, z)
        if self.shortcut is not None:
            h = self.shortcut_bn(self.shortcut(h), z[self.shortcut_gate])
        return ag.relu(h + delta)


class MixedPostActivationBlock(ResidualPath):
    """The mixed-connectivity block:  D = f(h[I_in]);  h' = relu(scatter_add(h, D, I_out)).

    As `MixedPreActivationBlock` (Supp. 2), but for the place of the activations.
    inner: the channels of all convolutions but the last; [] if the block is its shortcut alone.
    """

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
        self.width: int = width
        self.reads: list[int] = reads
        self.writes: list[int] = writes
        self.shortcut_writes: Any = shortcut
        if shortcut is not None:
            self.shortcut = Conv2d(len(reads), len(shortcut), 1, stride)
            self.shortcut_bn = BatchNorm2d(len(shortcut))

    def forward(self, h: Tensor) -> Tensor:
        x = ag.take(h, self.reads)
        if self.shortcut is not None:
            h = self.shortcut_bn(self.shortcut(x))
            h = scatter_channels(h, self.width, self.shortcut_writes)
        if self.conv1 is None:
            return ag.relu(h)
        return ag.relu(ag.scatter_add(h, self.delta(x, NO_GATES), self.writes))
