"""The small network, which every engine runs that can train.

Three 3x3 convolutions of 16, 32 and 32 features, each with bias and ReLU, average pooling 2x2 after
the first and the second, a global average pool and a linear layer.
"""

from __future__ import annotations

from ... import autograd as ag
from ...autograd import Tensor
from ...nn import Conv2d, Linear, Module

FEATURES = (16, 32, 32)


class SmallNet(Module):
    """x: (N, H, W, C), H and W multiples of 4; logits (N, classes)."""

    def __init__(self, channels: int, classes: int):
        reads = (channels, *FEATURES[:-1])
        self.convs = [
            Conv2d(c, k, 3, padding=1, bias=True) for c, k in zip(reads, FEATURES, strict=True)
        ]
        self.linear = Linear(FEATURES[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.convs
        x = ag.avg_pool2d(ag.relu(first(x)), 2)
        x = ag.avg_pool2d(ag.relu(second(x)), 2)
        return self.linear(ag.global_avg_pool2d(ag.relu(third(x))))

    def weights(self) -> list:
        """Weight and bias of every layer, in order: arrays, as tinybar lays them out."""
        return [array for layer in (*self.convs, self.linear) for array in _arrays(layer)]


def _arrays(layer) -> tuple:
    return layer.weight.data, layer.bias.data
