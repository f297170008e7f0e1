"""How far a convolution in float32 is from the same one in float64."""

from __future__ import annotations

import numpy as np

from ..autograd import conv2d

RESULTS = ("y", "gx", "gweight")

# (features read, features written, side of the image): the 3x3 convolutions of stride 1 in the
# paper's networks, ResNet-50 for images of 128x128, and in the smaller ones that we time.
LAYERS = {
    "WRN-28-12": [(3, 16, 32), (16, 192, 32), (192, 192, 32), (384, 384, 16), (768, 768, 8)],
    "WRN-16-4": [(16, 64, 32), (64, 64, 32), (128, 128, 16), (256, 256, 8)],
    "WRN-16-1": [(16, 16, 32), (32, 32, 16), (64, 64, 8)],
    "ResNet-50": [(64, 64, 32), (128, 128, 16), (256, 256, 8), (512, 512, 4)],
}


def layers() -> list[tuple[int, int, int]]:
    """Every layer once."""
    return list(dict.fromkeys(layer for network in LAYERS.values() for layer in network))


def relative_errors(
    layer: tuple[int, int, int], algorithm: str, images: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """For y, gx and gweight: (||e|| / ||exact||, max |e| / max |exact|), e = float32 - float64.

    The exact one gathers in float64. Images are what a ReLU leaves of normal draws, the weight is
    Kaiming's, the gradient of the output is normal.
    """
    (c, k, side), rng = layer, np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((images, side, side, c)), 0).astype(np.float32)
    weight = (rng.standard_normal((3, 3, c, k)) * np.sqrt(2 / (9 * c))).astype(np.float32)
    gy = rng.standard_normal((images, side, side, k)).astype(np.float32)
    exact = _computed(*(a.astype(np.float64) for a in (x, weight, gy)), "gather")
    found = _computed(x, weight, gy, algorithm)
    return {
        name: _sizes(low - high, high)
        for name, low, high in zip(RESULTS, found, exact, strict=True)
    }


def _computed(x, weight, gy, algorithm: str) -> tuple:
    y, pullback = conv2d.function(x, weight, None, 1, 1, algorithm=algorithm)
    return y, *pullback(gy)[:2]


def _sizes(error: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    norm = float(np.linalg.norm(error) / np.linalg.norm(exact))
    return norm, float(np.abs(error).max() / np.abs(exact).max())
