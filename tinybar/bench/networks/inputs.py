"""What all engines are given: the batch of a case, the arrays of a convolution, Adam's settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 5e-4  # Supp. 3
PARTS = ("forward", "data", "weight", "backward")


def batch(case) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, C) of float32 and labels (N,), the same at every call."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((case.batch_size, *case.image_shape), np.float32)
    return images, rng.integers(0, case.classes, case.batch_size)


@dataclass(frozen=True)
class Convolution:
    """The shapes of a convolution: x (N, H, W, C_in), weight (KH, KW, C_in, C_out)."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(cls, table: dict) -> Convolution:
        """From its table in JSON."""
        return cls(**{name: tuple(value) for name, value in table.items()})

    def as_dict(self) -> dict:
        """Fit for JSON."""
        return {name: list(value) for name, value in dataclasses.asdict(self).items()}

    @property
    def output(self) -> tuple[int, int]:
        """(OH, OW)."""
        return tuple(
            (size + 2 * p - k) // s + 1
            for size, p, k, s in zip(
                self.x[1:3], self.padding, self.weight[:2], self.stride, strict=True
            )
        )

    @property
    def flops(self) -> int:
        """Of the direct algorithm, two per multiply-add; each of the two adjoints takes as many."""
        kh, kw, c_in, c_out = self.weight
        oh, ow = self.output
        return 2 * self.x[0] * oh * ow * kh * kw * c_in * c_out

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, weight and gy of float32, the same at every call."""
        rng = np.random.default_rng(0)
        shapes = self.x, self.weight, (self.x[0], *self.output, self.weight[3])
        return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)
