"""Pooling over windows, channels last."""

from __future__ import annotations

from ..runtime.arrays import array_module, zero_where
from .primitive import primitive
from .sums import total
from .tensor import Operand
from .windows import Geometry, crop_image, pad_image, shifted


@primitive(inputs=1, floating=True)
def max_pool2d(
    x: Operand,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
):
    """y = the largest pixel of each window, per channel.   gx: gy to that pixel (ties: the first).

    x: (N, H, W, C), y: (N, OH, OW, C); stride defaults to the kernel; the margin counts as -inf,
    but no gradient goes there. NaN is larger than every number.
    Raises ValueError for a padding of more than half the kernel (a window might read nothing).
    """
    xp, geometry = array_module(x), _geometry(x, kernel, stride, padding)
    size = geometry.output_size(*x.shape[1:3])
    padded = pad_image(x, geometry.padding, value=-xp.inf)
    offsets = [(i, j) for i in range(geometry.kernel[0]) for j in range(geometry.kernel[1])]

    y = shifted(padded, *offsets[0], geometry.stride, size).copy()
    # Which offset holds the largest pixel; at first the first one that lies in the image.
    top, left = (
        xp.maximum(p - s * xp.arange(n), 0)
        for p, s, n in zip(geometry.padding, geometry.stride, size, strict=True)
    )
    winner = xp.empty(y.shape, xp.int16)
    winner[...] = (top[:, None] * geometry.kernel[1] + left)[:, :, None]
    for k, (i, j) in enumerate(offsets[1:], start=1):
        pixel = shifted(padded, i, j, geometry.stride, size)
        xp.copyto(winner, k, where=(pixel > y) | (pixel != pixel))
        xp.maximum(y, pixel, out=y)

    shape = padded.shape

    def pullback(gy):
        gpadded = xp.zeros(shape, gy.dtype)
        for k, (i, j) in enumerate(offsets):
            shifted(gpadded, i, j, geometry.stride, size)[...] += zero_where(winner != k, gy)
        return crop_image(gpadded, geometry.padding)

    return y, pullback


@primitive(inputs=1, floating=True)
def avg_pool2d(
    x: Operand,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
):
    """y = the mean over each window, per channel.   gx: gy / (KH KW) to every pixel of it.

    x: (N, H, W, C), y: (N, OH, OW, C); stride defaults to the kernel. The margin counts as zeros
    that are part of the mean, as in PyTorch's default.
    """
    xp, geometry = array_module(x), _geometry(x, kernel, stride, padding)
    size = geometry.output_size(*x.shape[1:3])
    padded = pad_image(x, geometry.padding)
    (kh, kw), share = geometry.kernel, 1 / (geometry.kernel[0] * geometry.kernel[1])
    offsets = [(i, j) for i in range(kh) for j in range(kw)]

    y = xp.zeros((x.shape[0], *size, x.shape[3]), x.dtype)
    for i, j in offsets:
        y += shifted(padded, i, j, geometry.stride, size)
    y *= share

    shape = padded.shape

    def pullback(gy):
        gpadded = xp.zeros(shape, gy.dtype)
        for i, j in offsets:
            shifted(gpadded, i, j, geometry.stride, size)[...] += gy * share
        return crop_image(gpadded, geometry.padding)

    return y, pullback


@primitive(inputs=1)
def global_avg_pool2d(x: Operand):
    """y = the mean over all H W pixels, per channel.   gx = gy / (H W), for every pixel.

    x: (N, H, W, C), y: (N, C).
    """
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"global_avg_pool2d needs x (N, H, W, C) with pixels, got {x.shape}")
    xp, (n, h, w, c) = array_module(x), x.shape
    y = total(x, (1, 2)).reshape(n, c) / (h * w)

    def pullback(gy):
        gx = xp.empty((n, h, w, c), gy.dtype)  # no view: what comes next would copy it, twice
        gx[...] = (gy / (h * w)).reshape(n, 1, 1, c)
        return gx

    return y, pullback


def _geometry(x, kernel, stride, padding) -> Geometry:
    if x.ndim != 4:
        raise ValueError(f"pooling needs x (N, H, W, C), got {x.shape}")
    geometry = Geometry.of(kernel, kernel if stride is None else stride, padding)
    if any(2 * p > k for p, k in zip(geometry.padding, geometry.kernel, strict=True)):
        raise ValueError(f"pooling: padding {padding} is more than half of the kernel {kernel}")
    return geometry
