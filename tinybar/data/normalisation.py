"""Normalisation of bytes: a minibatch at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..runtime.arrays import array_module


class Normalised:
    """(images / scale - mean) / std, computed for what is asked for: `normalised[index]`.

    images: (N, H, W, C) uint8, on the host, where they may be a memory map, or on the device; they
    are not copied. mean, std: (C,). An index along N (a slice or an array) gives float32 of the
    same device; the same values whatever the index.
    """

    def __init__(self, images: np.ndarray, mean: np.ndarray, std: np.ndarray, scale: float):
        mean, std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        # One long row per image: broadcasting over the short channel axis would be slow.
        pixels, xp = math.prod(images.shape[1:3]), array_module(images)
        self.images: np.ndarray = images
        self.shape: tuple[int, ...] = images.shape
        self._factor = xp.asarray(np.tile(1 / (scale * std), pixels).astype(np.float32))
        self._shift = xp.asarray(np.tile(mean / std, pixels))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> np.ndarray:
        chosen = self.images[index]
        rows = chosen.reshape(len(chosen), len(self._factor)).astype(np.float32)
        rows *= self._factor
        rows -= self._shift
        return rows.reshape(chosen.shape)


def normalise(images: np.ndarray, mean: np.ndarray, std: np.ndarray, scale: float) -> np.ndarray:
    """(images / scale - mean) / std, float32.   images: (N, H, W, C) uint8; mean, std: (C,)."""
    return Normalised(images, mean, std, scale)[:]


def channel_statistics(images: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of images / scale, per channel, each (C,) float32.

    images: (N, H, W, C) uint8, N > 0. The standard deviation is the population's (divided by the
    number of pixels). A constant channel gets 1 instead of 0, so that it normalises to zeros.
    """
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), 1024):  # in pieces: bincount works on 8-byte copies
        for channel, count in enumerate(counts):
            values = images[start : start + 1024, ..., channel].ravel()
            count += np.bincount(values, minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256) / scale
    mean = share @ levels
    std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
    varies = (counts > 0).sum(axis=1) > 1  # exact, whereas std is 0 only up to rounding
    return mean.astype(np.float32), np.where(varies, std, 1.0).astype(np.float32)
