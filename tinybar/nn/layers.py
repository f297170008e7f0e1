"""Layers: parameters and buffers around a primitive. Channels last, float32."""

from __future__ import annotations

import math

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor
from ..runtime import random
from ..runtime.arrays import to_device
from .module import Module, Parameter


def kaiming_normal(shape: tuple[int, ...], fan_in: int, gain: float = math.sqrt(2)) -> np.ndarray:
    """Draws of N(0, gain^2 / fan_in), float32: signals keep their variance [He et al. 2015].

    gain: sqrt(2) before a ReLU, which halves the second moment; 1 where none follows.
    """
    draws = random.stream("init").standard_normal(shape) * (gain / math.sqrt(fan_in))
    return draws.astype(np.float32)


def only(x: Tensor, index, axis: int = -1) -> Tensor:
    """The entries `index` of x along an axis; x itself where those are all."""
    return x if len(index) == x.shape[axis] else ag.take(x, index, axis)


class Conv2d(Module):
    """y = x * weight (+ bias).   x: (N, H, W, C_in), y: (N, OH, OW, C_out).

    weight: (KH, KW, C_in, C_out), Kaiming-normal; bias: (C_out,), zero, or None.
    """

    def __init__(self, c_in, c_out, kernel, stride=1, padding=0, bias=False):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.stride, self.padding = stride, padding
        self.weight = Parameter(kaiming_normal((kh, kw, c_in, c_out), kh * kw * c_in))
        self.bias = Parameter(np.zeros(c_out, np.float32)) if bias else None

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[:2]

    @property
    def c_in(self) -> int:
        return self.weight.shape[2]

    @property
    def c_out(self) -> int:
        return self.weight.shape[3]

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """gate: (C_out,) factors of the output features, or None.

        The convolution is linear, so (x * weight) z = x * (weight z): the gate goes to the weight,
        which is smaller than the features it would else multiply.
        """
        weight, bias = self.weight, self.bias
        if gate is not None:
            weight = weight * gate
            bias = None if bias is None else bias * gate
        return ag.conv2d(x, weight, bias, self.stride, self.padding)

    def part(self, x: Tensor, reads, writes, gate: Tensor | None = None) -> Tensor:
        """The features `writes` of self(features, gate), where x are the features `reads`.

        All others of what it reads are zero, so they need not be there.
        """
        weight = only(only(self.weight, reads, axis=2), writes, axis=3)
        bias = None if self.bias is None else only(self.bias, writes)
        if gate is not None:
            gate = only(gate, writes)
            weight, bias = weight * gate, None if bias is None else bias * gate
        return ag.conv2d(x, weight, bias, self.stride, self.padding)


class BatchNorm2d(Module):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, per channel [Ioffe & Szegedy 2015].

    gamma, beta, running_mean, running_var: (C,). In training the mean and variance are the batch's
    and the running ones move by `momentum` (the weight of the new value) towards them.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5):
        self.momentum, self.eps = momentum, eps
        self.gamma = Parameter(np.ones(channels, np.float32))
        self.beta = Parameter(np.zeros(channels, np.float32))
        self.running_mean = to_device(np.zeros(channels, np.float32))
        self.running_var = to_device(np.ones(channels, np.float32))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """z y.   gate: z, (C,) factors, or None.

        z (gamma xh + beta) = (z gamma) xh + (z beta): the gate goes to gamma and beta, and costs
        nothing.
        """
        return ag.batch_norm(x, *self._affine(gate), *self._settings())

    def relu(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """z relu(y).   gate: z, (C,) factors >= 0, for which z relu(y) = relu(z y), or None."""
        return ag.batch_norm_relu(x, *self._affine(gate), *self._settings())

    def relu_part(self, x: Tensor, features, gate: Tensor | None = None) -> Tensor:
        """As `relu`, of the features alone that x consists of; the others' statistics stay."""
        if len(features) == self.gamma.shape[0]:
            return self.relu(x, gate)
        gamma, beta = only(self.gamma, features), only(self.beta, features)
        if gate is not None:
            gate = only(gate, features)
            gamma, beta = gamma * gate, beta * gate
        *running, training, momentum, eps = self._settings()
        moved = [statistic[features] for statistic in running]
        y = ag.batch_norm_relu(x, gamma, beta, *moved, training, momentum, eps)
        if training:
            for statistic, new in zip(running, moved, strict=True):
                statistic[features] = new
        return y

    def _affine(self, gate: Tensor | None) -> tuple[Tensor, Tensor]:
        if gate is None:
            return self.gamma, self.beta
        return self.gamma * gate, self.beta * gate

    def _settings(self) -> tuple:
        running = self.running_mean, self.running_var
        return (*running, self.training, self.momentum, self.eps)


class Linear(Module):
    """y = x weight + bias.   x: (N, F), weight: (F, K), bias: (K,), y: (N, K)."""

    def __init__(self, features: int, outputs: int):
        self.weight = Parameter(kaiming_normal((features, outputs), features, gain=1.0))
        self.bias = Parameter(np.zeros(outputs, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias
