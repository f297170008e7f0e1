"""What is timed: a training step or the inference of a network, or a convolution by itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import autograd as ag
from .. import nn
from ..autograd import Tensor
from ..runtime import random
from ..runtime.threads import check_threads, processors
from ..train.models import load_model

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 5e-4  # Supp. 3

# --- a network -----------------------------------------------------------------------------------

KINDS = ("step", "infer")
SMALL = "small"  # the name of SmallNet
NETWORKS = {  # the groups of networks, and how each is asked for
    "small": f"the network {SMALL!r}",
    "plain": "wrn-D-K and resnets",
    "gated": "the same with --gated",
    "saved": "the networks of --run",
}


@dataclass(frozen=True)
class Case:
    """A training step or the inference of a network.

    kind: "step" (forward, cross-entropy, backward, Adam with weight decay, in training mode) or
    "infer" (forward, no gradients, evaluation mode).
    network: a name that nn.build knows, "small", or the path of a network that a run saved.
    image_shape: (H, W, C). gated: with hard-concrete gates, sampled anew at every step.
    Raises ValueError, naming the option, for a value out of range.
    """

    kind: str = "step"
    network: str = "wrn-16-1"
    image_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    batch_size: int = 64
    gated: bool = False
    threads: int = field(default_factory=processors)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        if self.kind not in KINDS:
            raise ValueError(f"--case {self.kind!r} is unknown: use one of {', '.join(KINDS)}")
        if self.batch_size < 1:
            raise ValueError(f"--batch-size must be at least 1, got {self.batch_size}")
        check_threads(self.threads)
        if self.network == SMALL:
            self._check_small()

    def _check_small(self) -> None:
        h, w, _ = self.image_shape
        if self.gated:
            raise ValueError(f"the network {SMALL!r} has no gates: use wrn-D-K with --gated")
        if min(self.image_shape) < 1 or h % 4 or w % 4 or self.classes < 2:
            raise ValueError(
                f"the network {SMALL!r} needs an image height and width that are multiples of 4, "
                f"and 2 classes: got --image-shape {self.image_shape}, --classes {self.classes}"
            )

    @property
    def is_saved(self) -> bool:
        """Whether the network is a file."""
        return self.network.endswith(".safetensors")

    @property
    def group(self) -> str:
        """The group of NETWORKS that the network belongs to."""
        if self.network == SMALL:
            return "small"
        if self.is_saved:
            return "saved"
        return "gated" if self.gated else "plain"

    def build(self) -> nn.Module:
        """tinybar's network, with the same random weights at every call and in every process.

        Raises ValueError for an unknown name or impossible shapes.
        """
        if self.is_saved:
            return load_model(Path(self.network))[0]
        random.seed(0)
        if self.network == SMALL:
            return SmallNet(self.image_shape[2], self.classes)
        gate = nn.HardConcrete if self.gated else None
        return nn.build(self.network, self.classes, self.image_shape, gate)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, H, W, C) of float32 and labels (N,), the same at every call."""
        rng = np.random.default_rng(0)
        images = rng.standard_normal((self.batch_size, *self.image_shape), np.float32)
        return images, rng.integers(0, self.classes, self.batch_size)

    def as_dict(self) -> dict[str, Any]:
        """Fit for JSON."""
        return dataclasses.asdict(self) | {"image_shape": list(self.image_shape)}

    def title(self) -> str:
        """The case in a line."""
        name = Path(self.network).name if self.is_saved else self.network
        what = {"step": "training step", "infer": "inference"}[self.kind]
        gates = " with gates" if self.gated else ""
        size = "x".join(map(str, self.image_shape))
        threads = f"{self.threads} thread" + "s" * (self.threads > 1)
        return f"{what} of {name}{gates}, batch {self.batch_size} of {size}, {threads}"


class SmallNet(nn.Module):
    """A network simple enough to write in any framework.

    Three 3x3 convolutions of 16, 32 and 32 channels, each with bias and ReLU, 2x2 average pooling
    after the first and the second, global average pooling and a linear layer.
    x: (N, H, W, C), H and W multiples of 4; logits (N, classes).
    """

    def __init__(self, channels: int, classes: int):
        shapes = ((channels, 16), (16, 32), (32, 32))
        self.convs: list[nn.Module] = [nn.Conv2d(c, k, 3, padding=1, bias=True) for c, k in shapes]
        self.linear: nn.Linear = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.convs
        x = ag.avg_pool2d(ag.relu(first(x)), 2)
        x = ag.avg_pool2d(ag.relu(second(x)), 2)
        return self.linear(ag.global_avg_pool2d(ag.relu(third(x))))


# --- a convolution -------------------------------------------------------------------------------

PARTS = ("forward", "data", "weight", "backward")  # backward: data and weight in one pass


@dataclass(frozen=True)
class Convolution:
    """The shapes of a convolution: x (N, H, W, C_in), weight (KH, KW, C_in, C_out)."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(cls, table: dict[str, Any]) -> Convolution:
        """From its table in JSON."""
        return cls(**{name: tuple(value) for name, value in table.items()})

    def as_dict(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {name: list(value) for name, value in dataclasses.asdict(self).items()}

    @property
    def output(self) -> tuple[int, int]:
        """(OH, OW)."""
        oh, ow = (
            (size + 2 * p - k) // s + 1
            for size, p, k, s in zip(
                self.x[1:3], self.padding, self.weight[:2], self.stride, strict=True
            )
        )
        return oh, ow

    @property
    def flops(self) -> int:
        """Operations of the direct algorithm in "forward", two per multiply-add.

        "data" and "weight" take as many each.
        """
        kh, kw, c_in, c_out = self.weight
        oh, ow = self.output
        return 2 * self.x[0] * oh * ow * kh * kw * c_in * c_out

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, weight and gy of float32, the same at every call."""
        rng = np.random.default_rng(0)
        shapes = self.x, self.weight, (self.x[0], *self.output, self.weight[3])
        x, weight, gy = (rng.standard_normal(shape, np.float32) for shape in shapes)
        return x, weight, gy
