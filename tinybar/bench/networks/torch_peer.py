"""PyTorch, as its users write it for speed: channels_last, in-place ReLU, the fused Adam.

The gates follow the same formulas as tinybar's (`nn/gates.py`), and use the same economies: they
multiply weights, and batch norm's gamma and beta, rather than the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...autograd.gates import BETA, GAMMA, ZETA
from ...nn.gates import FLOOR, NOISE_MARGIN
from ..case import SMALL
from . import inputs
from .inputs import Convolution


def versions() -> dict[str, str]:
    """Of the library that computes."""
    return {"torch": torch.__version__}


# --- the wide residual network -------------------------------------------------------------------


class Gate(nn.Module):
    """Hard-concrete gates z (C,). vital: the highest log_alpha counts as at least FLOOR."""

    def __init__(self, channels: int, vital: bool = False):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(channels))
        self.vital = vital

    def forward(self) -> Tensor:
        """z: sampled in training, at the mean noise 1/2 in evaluation."""
        location = self.log_alpha
        if self.vital:
            is_highest = torch.arange(len(location)) == location.argmax()
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
    """A pre-activation block; see tinybar's PreActivationBlock for what `live` is."""

    def __init__(self, c_in: int, c_out: int, stride: int, gated: bool):
        super().__init__()
        self.bn1, self.conv1 = BatchNorm(c_in), Conv(c_in, c_out, 3, stride)
        self.gate1 = Gate(c_out) if gated else None
        self.bn2, self.conv2 = BatchNorm(c_out), Conv(c_out, c_out, 3)
        self.gate2 = Gate(c_out) if gated else None
        is_pooling = stride != 1 or c_in != c_out
        self.shortcut = Conv(c_in, c_out, 1, stride) if is_pooling else None
        self.shortcut_gate = Gate(c_out, vital=True) if gated and is_pooling else None

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
    """tinybar's WideResNet, with the same names inside."""

    def __init__(self, depth: int, width: int, channels: int, classes: int, gated: bool):
        super().__init__()
        self.stem = Conv(channels, 16, 3)
        self.stem_gate = Gate(16, vital=True) if gated else None
        self.blocks, c = nn.ModuleList(), 16
        for group, features in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                self.blocks.append(Block(c, features, 2 if group and not k else 1, gated))
                c = features
        self.bn, self.linear = BatchNorm(c), nn.Linear(c, classes)

    def forward(self, x: Tensor) -> Tensor:
        z = _sample(self.stem_gate)
        h, live = self.stem(x, z), None if z is None else z > 0
        for block in self.blocks:
            h, live = block(h, live)
        return self.linear(F.relu(self.bn(h, live), inplace=True).mean((2, 3)))


# --- the small network ---------------------------------------------------------------------------


class SmallNet(nn.Module):
    """tinybar's SmallNet, with the same names inside."""

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


# --- the steps -----------------------------------------------------------------------------------


def network(case) -> nn.Module:
    """The case's network, with tinybar's initial weights, channels_last."""
    source = case.build()
    channels = case.image_shape[2]
    if case.network == SMALL:
        model = SmallNet(channels, case.classes)
    else:
        model = WideResNet(source.depth, source.width, channels, case.classes, case.gated)
    load(model, source.state_dict())
    return model.to(memory_format=torch.channels_last)


def load(model: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Copy the parameters and buffers of tinybar's network of the same structure."""
    theirs = {}
    for name, array in state.items():
        owner, _, last = name.rpartition(".")
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        last = {"gamma": "weight", "beta": "bias"}.get(last, last)
        theirs[f"{owner}.{last}"] = torch.tensor(
            np.ascontiguousarray(array.T if array.ndim == 2 else array)
        )
    counters = {n: v for n, v in model.state_dict().items() if n.endswith("num_batches_tracked")}
    model.load_state_dict(theirs | counters)


def prepare(case) -> Callable[[], Tensor]:
    """The step to time."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    model = network(case)
    images, targets = inputs.batch(case)
    x, labels = _channels_last(images), torch.from_numpy(targets)
    if case.kind == "infer":
        model.eval()

        def infer():
            with torch.inference_mode():
                return model(x)

        return infer

    model.train()
    gates = [p for n, p in model.named_parameters() if n.endswith("log_alpha")]
    others = [p for n, p in model.named_parameters() if not n.endswith("log_alpha")]
    groups = [{"params": others, "weight_decay": inputs.WEIGHT_DECAY}]
    groups += [{"params": gates}] if gates else []
    optimizer = torch.optim.Adam(groups, inputs.LEARNING_RATE, fused=True)

    def step():
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _channels_last(images: np.ndarray) -> Tensor:
    """(N, H, W, C) in memory, (N, C, H, W) to PyTorch, which calls that channels_last."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def prepare_convolution(
    shapes: Convolution, part: str, threads: int, algorithm: str = "auto"
) -> Callable[[], object]:
    """One of `inputs.PARTS` of a convolution; the algorithm is PyTorch's own choice."""
    torch.set_num_threads(threads)
    x, weight, gy = shapes.arrays()
    x, gy = _channels_last(x), _channels_last(gy)
    weight = torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 0, 1, 2)))
    weight = weight.permute(0, 3, 1, 2)
    if part == "forward":
        return lambda: F.conv2d(x, weight, None, shapes.stride, shapes.padding)
    mask = [part != "weight", part != "data", False]
    stride, padding = list(shapes.stride), list(shapes.padding)
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(
        gy, x, weight, None, stride, padding, [1, 1], False, [0, 0], 1, mask
    )  # fmt: skip
