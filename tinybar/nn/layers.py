"""Layers: parameters and buffers around a primitive. Channels last, float32."""

from __future__ import annotations

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor
from ..autograd.windows import HW
from ..runtime.arrays import Array, to_device
from .initial import kaiming_normal
from .module import Module, Parameter


class Conv2d(Module):
    """y = x * weight (+ bias).   x: (N, H, W, C_in), y: (N, OH, OW, C_out).

    weight: (KH, KW, C_in, C_out), Kaiming-normal; bias: (C_out,), zero, or None.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: HW, stride: HW = 1, padding: HW = 0, bias: bool = False
    ):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.stride: HW = stride
        self.padding: HW = padding
        self.weight: Parameter = Parameter(kaiming_normal((kh, kw, c_in, c_out), kh * kw * c_in))
        self.bias: Parameter | None = Parameter(np.zeros(c_out, np.float32)) if bias else None

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[0], self.weight.shape[1]

    @property
    def c_in(self) -> int:
        return self.weight.shape[2]

    @property
    def c_out(self) -> int:
        return self.weight.shape[3]

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """z y.   gate: z, (C_out,), or None.

        Convolution is linear, so (x * weight) z = x * (weight z): the gate multiplies the weight,
        which is smaller than y.
        """
        return ag.conv2d(x, self.weight, self.bias, self.stride, self.padding, gate=gate)


class BatchNorm2d(Module):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, per channel [Ioffe & Szegedy 2015].

    gamma, beta, running_mean, running_var: (C,). In training the mean and variance are the batch's
    and the running ones move by `momentum` (the weight of the new value) towards them.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5):
        self.momentum: float = momentum
        self.eps: float = eps
        self.gamma: Parameter = Parameter(np.ones(channels, np.float32))
        self.beta: Parameter = Parameter(np.zeros(channels, np.float32))
        self.running_mean: Array = to_device(np.zeros(channels, np.float32))
        self.running_var: Array = to_device(np.ones(channels, np.float32))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """z y.   gate: z, (C,), or None.

        z (gamma xh + beta) = (z gamma) xh + (z beta): the gate multiplies gamma and beta, which
        costs next to nothing.
        """
        return ag.batch_norm(x, *self._arguments(), gate=gate)

    def relu(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """z relu(y) = relu(z y).   gate: z >= 0, (C,), or None."""
        return ag.batch_norm_relu(x, *self._arguments(), gate=gate)

    def _arguments(self) -> tuple:
        running = self.running_mean, self.running_var
        return self.gamma, self.beta, *running, self.training, self.momentum, self.eps


class Linear(Module):
    """y = x weight + bias.   x: (N, F), weight: (F, K), bias: (K,), y: (N, K)."""

    def __init__(self, in_features: int, out_features: int):
        start = kaiming_normal((in_features, out_features), in_features, gain=1.0)
        self.weight: Parameter = Parameter(start)
        self.bias: Parameter = Parameter(np.zeros(out_features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias
