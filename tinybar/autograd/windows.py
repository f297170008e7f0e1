"""Sliding windows over images: the geometry that convolution and pooling share.

Channels last: images (N, H, W, C). A window is the patch of kernel KH x KW that one output
position reads; windows stand `stride` apart on the image padded by `padding` on all four sides.
"""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

from ..runtime.arrays import Array, array_module

HW = int | tuple[int, int]  # the same both ways, or vertical and horizontal


class Geometry(NamedTuple):
    """Kernel, stride and padding, each a (vertical, horizontal) pair of pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(
        cls,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int],
        padding: int | tuple[int, int],
    ) -> Geometry:
        """Each argument an integer, or a pair. Raises ValueError for sizes that make no window."""
        geometry = cls(_pair(kernel), _pair(stride), _pair(padding))
        if min(geometry.kernel) < 1 or min(geometry.stride) < 1 or min(geometry.padding) < 0:
            raise ValueError(
                "kernel and stride must be >= 1 and padding >= 0, got "
                f"kernel={kernel}, stride={stride}, padding={padding}"
            )
        return geometry

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(OH, OW) = floor((size + 2 padding - kernel) / stride) + 1. ValueError if none fits."""
        oh, ow = (
            (size + 2 * p - k) // s + 1
            for size, k, s, p in zip((height, width), *self, strict=True)
        )
        if min(oh, ow) < 1:
            raise ValueError(
                f"a {self.kernel[0]}x{self.kernel[1]} kernel does not fit an image of "
                f"{height}x{width} pixels padded by {self.padding}"
            )
        return oh, ow


def _pair(value) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, Integral) else value
    return int(first), int(second)


def pad_image(x: Array, padding: tuple[int, int], value: float = 0) -> Array:
    """x: (N, H, W, C) with `value` around every image; x itself where there is nothing to add."""
    (ph, pw), (n, h, w, c) = padding, x.shape
    if ph == pw == 0:
        return x
    padded = array_module(x).full((n, h + 2 * ph, w + 2 * pw, c), value, x.dtype)
    padded[:, ph : ph + h, pw : pw + w] = x
    return padded


def crop_image(padded: Array, padding: tuple[int, int]) -> Array:
    """The pullback of `pad_image`: what lies inside the margin, as a view; all, if it is 0."""
    (ph, pw), (_, h, w, _) = padding, padded.shape
    if ph == pw == 0:
        return padded
    return padded[:, ph : h - ph, pw : w - pw]


def shifted(padded: Array, i: int, j: int, stride: tuple[int, int], size: tuple[int, int]) -> Array:
    """The pixel at (i, j) of every window, as a view (N, OH, OW, C) of the padded images."""
    (sh, sw), (oh, ow) = stride, size
    return padded[:, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]


def windows(padded: Array, geometry: Geometry, size: tuple[int, int]) -> Array:
    """All windows of the padded images as a view (N, OH, OW, KH, KW, C); nothing is copied."""
    (kh, kw), (sh, sw), _ = geometry
    n, h, w, c = padded.strides
    shape = (padded.shape[0], *size, kh, kw, padded.shape[3])
    as_strided = array_module(padded).lib.stride_tricks.as_strided
    return as_strided(padded, shape, (n, h * sh, w * sw, h, w, c))
