"""tinybar's networks in PyTorch. Parameters and buffers have the same names.

The gates follow the same formulas as tinybar's (`nn/gates.py`) and are as cheap: they multiply the
weights of a convolution, or gamma and beta of a batch norm, instead of the activations.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinybar import nn as ours
from tinybar.autograd.gates import BETA, GAMMA, ZETA
from tinybar.nn.gates import FLOOR, NOISE_MARGIN


class Gate(nn.Module):
    """Hard-concrete gates z (C,). keep_one: the highest log_alpha counts as at least FLOOR."""

    def __init__(self, channels: int, keep_one: bool = False):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(channels))
        self.keep_one = keep_one

    def forward(self) -> Tensor:
        """z: sampled in training, at the mean noise 1/2 in evaluation."""
        location = self.log_alpha
        if self.keep_one:
            is_highest = torch.arange(len(location), device=location.device) == location.argmax()
            location = torch.maximum(location, torch.where(is_highest, FLOOR, -math.inf))
        if self.training:
            noise = NOISE_MARGIN + (1 - 2 * NOISE_MARGIN) * torch.rand_like(location)
            location = location + noise.log() - torch.log1p(-noise)
        return ((location / BETA).sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


class Conv(nn.Conv2d):
    """A convolution without bias whose outputs may be gated."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1):
        super().__init__(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        if gate is None:
            return super().forward(x)
        return self._conv_forward(x, self.weight * gate[:, None, None, None], None)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose outputs may be gated."""

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        if gate is None:
            return super().forward(x)
        gamma, beta = self.weight * gate, self.bias * gate
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(x, mean, var, gamma, beta, self.training, self.momentum, self.eps)


def _sample(gate: Gate | None) -> Tensor | None:
    return None if gate is None else gate()


class Block(nn.Module):
    """tinybar's PreActivationBlock. live: the channels of h that some open gate has written."""

    def __init__(self, c_in: int, c_out: int, stride: int, gated: bool):
        super().__init__()
        self.bn1, self.conv1 = BatchNorm(c_in), Conv(c_in, c_out, 3, stride)
        self.gate1 = Gate(c_out) if gated else None
        self.bn2, self.conv2 = BatchNorm(c_out), Conv(c_out, c_out, 3)
        self.gate2 = Gate(c_out) if gated else None
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_gate = Gate(c_out, keep_one=True) if gated and is_pooling else None

    def forward(self, h: Tensor, live: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = F.relu(self.bn1(h, live), inplace=True)
        z1, z2 = _sample(self.gate1), _sample(self.gate2)
        delta = self.conv2(F.relu(self.bn2(self.conv1(x), z1), inplace=True), z2)
        if self.shortcut is not None:
            z = _sample(self.shortcut_gate)
            h, live = self.shortcut(x, z), None if z is None else z > 0
        if live is not None:
            live = live | ((z2 > 0) & (z1 > 0).any())
        return h + delta, live


class WideResNet(nn.Module):
    """tinybar's WideResNet."""

    def __init__(self, depth: int, width: int, channels: int, classes: int, gated: bool):
        super().__init__()
        self.stem = Conv(channels, 16, 3)
        self.stem_gate = Gate(16, keep_one=True) if gated else None
        self.blocks, c = nn.ModuleList(), 16
        for group, c_out in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                self.blocks.append(Block(c, c_out, 2 if group and not k else 1, gated))
                c = c_out
        self.bn, self.linear = BatchNorm(c), nn.Linear(c, classes)

    def forward(self, x: Tensor) -> Tensor:
        z = _sample(self.stem_gate)
        h, live = self.stem(x, z), None if z is None else z > 0
        for block in self.blocks:
            h, live = block(h, live)
        return self.linear(F.relu(self.bn(h, live), inplace=True).mean((2, 3)))


# --- networks with the activation after the sum --------------------------------------------------


class PostActivationBlock(nn.Module):
    """tinybar's PostActivationBlock, with the kernels, widths and strides of `like`."""

    def __init__(self, like: ours.PostActivationBlock, gated: bool):
        super().__init__()
        self.path = []
        for k, conv in enumerate((step.conv for step in like.path()), 1):
            parts = {
                "conv": Conv(conv.c_in, conv.c_out, conv.kernel[0], conv.stride),
                "bn": BatchNorm(conv.c_out),
                "gate": Gate(conv.c_out) if gated else None,
            }
            for name, part in parts.items():
                self.add_module(f"{name}{k}", part)
            self.path.append(tuple(parts.values()))
        c, self.shortcut = like.shortcut, None
        if c is not None:
            self.shortcut, self.shortcut_bn = Conv(c.c_in, c.c_out, 1, c.stride), BatchNorm(c.c_out)
        self.shortcut_gate = Gate(c.c_out, keep_one=True) if gated and c is not None else None

    def forward(self, h: Tensor) -> Tensor:
        x, reached = h, None
        *inner, (last, last_bn, last_gate) = self.path
        for conv, bn, gate in inner:
            z = _sample(gate)
            x = F.relu(bn(conv(x), z), inplace=True)
            if z is not None:
                reached = (z > 0).any() if reached is None else reached & (z > 0).any()
        z = _sample(last_gate)
        delta = last_bn(last(x), z if reached is None else z * reached)
        if self.shortcut is not None:
            h = self.shortcut_bn(self.shortcut(h), _sample(self.shortcut_gate))
        return F.relu(h + delta, inplace=True)


class ResNet(nn.Module):
    """tinybar's ResNet `like`: ResNet-50 or a small one."""

    def __init__(self, like: ours.ResNet, gated: bool):
        super().__init__()
        stem, self.pools = like.stem, like.pools
        self.stem = Conv(stem.c_in, stem.c_out, stem.kernel[0], stem.stride)
        self.stem_bn = BatchNorm(stem.c_out)
        self.stem_gate = Gate(stem.c_out, keep_one=True) if gated else None
        self.blocks = nn.ModuleList(PostActivationBlock(block, gated) for block in like.blocks)
        self.linear = nn.Linear(*like.linear.weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.stem_bn(self.stem(x), _sample(self.stem_gate)), inplace=True)
        h = F.max_pool2d(h, 3, 2, 1) if self.pools else h
        for block in self.blocks:
            h = block(h)
        return self.linear(h.mean((2, 3)))


# --- the small network ---------------------------------------------------------------------------


class SmallNet(nn.Module):
    """tinybar's SmallNet."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        shapes = ((channels, 16), (16, 32), (32, 32))
        self.convs = nn.ModuleList(nn.Conv2d(c, k, 3, padding=1) for c, k in shapes)
        self.linear = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.convs
        x = F.avg_pool2d(F.relu(first(x), inplace=True), 2)
        x = F.avg_pool2d(F.relu(second(x), inplace=True), 2)
        return self.linear(F.relu(third(x), inplace=True).mean((2, 3)))
