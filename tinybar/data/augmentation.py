"""Random crops and horizontal flips of normalised minibatches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.arrays import array_module
from .checks import check_int


@dataclass(frozen=True)
class Augmentation:
    """Random crops and horizontal flips, drawn independently for every image.

    pad: pixels of zeros added on each side before a crop of the original size is taken; zero is
        the mean of normalised images.
    flip: whether to flip horizontally with probability 1/2, after the crop.
    """

    pad: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        check_int("pad", self.pad, least=0)
        if not isinstance(self.flip, bool):
            raise TypeError(f"flip must be True or False, got {self.flip!r}")

    def switched(self, shift: bool | None, mirror: bool | None, side: int) -> Augmentation:
        """With shifts and mirror images on or off; None leaves them as they are.

        side: the shorter one of the images. Shifts that were off are by up to a seventh of it.
        """
        pad, flip = self.pad, self.flip if mirror is None else mirror
        if shift is not None:
            pad = (pad or min(STANDARD.pad, max(1, side // 7))) if shift else 0
        return Augmentation(pad, flip)

    def describe(self) -> str:
        """What is done to a training image, in words."""
        pixels = "1 pixel" if self.pad == 1 else f"{self.pad} pixels"
        done = [f"shifted by up to {pixels}"] * (self.pad > 0) + ["mirrored"] * self.flip
        return " and ".join(done) or "not augmented"

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Any, ...]:
        """What `apply` draws for n images: top and left edges of the crops, and which are flipped.

        Each is (n, 1). `NO_AUGMENTATION` draws nothing.
        """
        top, left = rng.integers(0, 2 * self.pad + 1, size=(2, n, 1))
        return top, left, rng.random((n, 1)) < 0.5 if self.flip else np.zeros((n, 1), bool)

    def apply(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augmented images, same shape, dtype and device. images: (N, H, W, C), normalised.

        `NO_AUGMENTATION` returns the input itself and draws nothing from `rng`.
        """
        return self.move(images, *self.draw(len(images), rng))

    def move(
        self, images: np.ndarray, top: np.ndarray, left: np.ndarray, flipped: np.ndarray
    ) -> np.ndarray:
        """The images with these draws of `draw`."""
        if images.ndim != 4:
            raise ValueError(f"images must be (N, H, W, C), got shape {images.shape}")
        if self == NO_AUGMENTATION:
            return images
        xp, p = array_module(images), self.pad
        n, height, width, channels = images.shape
        padded = xp.zeros((n, height + 2 * p, width + 2 * p, channels), images.dtype)
        padded[:, p : p + height, p : p + width] = images
        # The row and column of `padded` that each output pixel reads: crop and flip in one gather.
        rows, columns = top + np.arange(height), left + np.arange(width)
        if self.flip:
            columns = np.where(flipped, columns[:, ::-1], columns)
        # `take` from a flat list of pixels needs a quarter of the time of
        # padded[image, rows, columns].
        lines = np.arange(n)[:, None] * padded.shape[1] + rows
        pixels = lines[:, :, None] * padded.shape[2] + columns[:, None, :]
        return padded.reshape(-1, channels).take(xp.asarray(pixels), axis=0)


NO_AUGMENTATION = Augmentation()
STANDARD = Augmentation(pad=4, flip=True)  # of photographs [He et al. 2016]
