"""Convolution (cross-correlation, as all deep-learning libraries call it), channels last.

    y[n,p,q,k] = bias[k] + sum_{i,j,c} xpad[n, p s + i, q s + j, c] weight[i,j,c,k]

It is linear in x and in weight, so each pullback is the adjoint of a linear map. Four forms
compute it, all held to the first one by the tests:

    reference   the sum as it stands: one product per kernel offset (i, j)
    gather      the windows copied to the rows of one matrix, one product [im2col, Chellapilla 2006]
    pointwise   a 1x1 kernel without padding: a matrix product over all pixels
    winograd    3x3 kernels of stride 1, a quarter of the multiplications (`winograd.py`)

A form takes x, weight and the geometry; it gives y and `adjoints(gy, needs)`, which gives gx and
gweight, None for what is not needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..accelerate import accelerated
from ..backend import array_module
from .primitive import primitive
from .reduction import sum_per_channel
from .windows import Geometry, crop_image, pad_image, shifted, windows
from .winograd import TILE, winograd

ALGORITHMS = ("auto", "reference", "gather", "pointwise", "winograd")


@primitive(inputs=3)
def conv2d(
    x, weight, bias=None, stride=1, padding=0, *, algorithm="auto", needs=(True, True, True)
):
    """y = x * weight + bias.   gx, gweight: the adjoints;  gbias = sum of gy over N, OH, OW.

    x: (N, H, W, C_in), weight: (KH, KW, C_in, C_out), bias: (C_out,) or None,
    y: (N, OH, OW, C_out) with OH = floor((H + 2 padding - KH) / stride) + 1.
    stride, padding: pixels, an integer or a (vertical, horizontal) pair.
    Raises ValueError where the shapes do not fit, or for an unknown algorithm.
    """
    geometry = _check(x, weight, bias, stride, padding, algorithm)
    if algorithm == "auto":
        algorithm = choose_algorithm(geometry, x.shape, weight.shape)
    y, adjoints = _FORMS[algorithm](x, weight, geometry)
    if bias is not None:
        y += bias

    def pullback(gy):
        gx, gweight = adjoints(gy, needs[:2])
        gbias = sum_per_channel(gy) if bias is not None and needs[2] else None
        return gx, gweight, gbias

    return y, pullback


def choose_algorithm(geometry: Geometry, x_shape: tuple, weight_shape: tuple) -> str:
    """The form that measures fastest on a CPU for these shapes.

    Winograd's transforms cost the same whatever the number of channels; from eight channels on,
    the multiplications it saves are worth more. An image that is not whole tiles wastes a part of
    the last ones: up to a third of all that is computed pays.
    """
    if geometry.kernel == (1, 1) and geometry.padding == (0, 0):
        return "pointwise"
    if geometry.kernel == (3, 3) and geometry.stride == (1, 1) and min(weight_shape[2:]) >= 8:
        oh, ow = geometry.output_size(*x_shape[1:3])
        computed = -(-oh // TILE) * -(-ow // TILE) * TILE**2
        if computed <= 1.5 * oh * ow:
            return "winograd"
    return "gather"


def _separately(to_x: Callable, to_weight: Callable) -> Callable:
    """The adjoints of a form whose two have nothing in common."""
    return lambda gy, needs: (
        to_x(gy) if needs[0] else None,
        to_weight(gy) if needs[1] else None,
    )


def _reference(x, weight, geometry: Geometry):
    """The definition: y = sum_ij X_ij W_ij, with X_ij the pixel (i, j) of every window.

    gX_ij = gy W_ij^T, added where X_ij was read;  gW_ij = X_ij^T gy.
    """
    xp, (kh, kw) = array_module(x), geometry.kernel
    size = geometry.output_size(*x.shape[1:3])
    padded = pad_image(x, geometry.padding)
    offsets = [(i, j) for i in range(kh) for j in range(kw)]

    y = xp.zeros((x.shape[0], *size, weight.shape[3]), x.dtype)
    for i, j in offsets:
        y += shifted(padded, i, j, geometry.stride, size) @ weight[i, j]

    def to_x(gy):
        gpadded = xp.zeros(padded.shape, gy.dtype)
        for i, j in offsets:
            shifted(gpadded, i, j, geometry.stride, size)[...] += gy @ weight[i, j].T
        return crop_image(gpadded, geometry.padding)

    def to_weight(gy):
        gweight = xp.empty(weight.shape, gy.dtype)
        for i, j in offsets:
            pixel = shifted(padded, i, j, geometry.stride, size)
            gweight[i, j] = xp.tensordot(pixel, gy, axes=((0, 1, 2), (0, 1, 2)))
        return gweight

    return y, _separately(to_x, to_weight)


def _gather(x, weight, geometry: Geometry):
    """One product: rows (N OH OW, KH KW C_in) gathered from the windows, times the weight.

    gweight = rows^T gy.  gx: for stride 1 again a convolution, of gy padded by K - 1 - padding
    with the kernel turned by 180 degrees and its channels exchanged; else the rows' gradient
    gy weight^T is added back where the rows were read. The rows are KH KW / (stride^2) times as
    large as x: gathered again for gweight rather than kept.
    """
    xp, (kh, kw, c_in, c_out) = array_module(x), weight.shape
    size = geometry.output_size(*x.shape[1:3])
    outputs = x.shape[0] * size[0] * size[1]
    matrix = weight.reshape(kh * kw * c_in, c_out)
    y = (gather_rows(x, *geometry, size) @ matrix).reshape(x.shape[0], *size, c_out)

    def to_weight(gy):
        rows = gather_rows(x, *geometry, size)
        return (rows.T @ gy.reshape(outputs, c_out)).reshape(weight.shape)

    def to_x_by_convolution(gy):
        around = Geometry(geometry.kernel, (1, 1), _adjoint_padding(geometry))
        turned = xp.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
        grows = gather_rows(gy, *around, x.shape[1:3])
        return (grows @ turned.reshape(kh * kw * c_out, c_in)).reshape(x.shape)

    def to_x_by_scattering(gy):
        return scatter_rows(gy.reshape(outputs, c_out) @ matrix.T, x.shape, *geometry, size)

    turnable = geometry.stride == (1, 1) and min(_adjoint_padding(geometry)) >= 0
    return y, _separately(to_x_by_convolution if turnable else to_x_by_scattering, to_weight)


@accelerated
def gather_rows(x, kernel, stride, padding, size):
    """The windows of x as the rows of a matrix: (N OH OW, KH KW C)."""
    n, c = x.shape[0], x.shape[3]
    (kh, kw), (oh, ow) = kernel, size
    view = windows(pad_image(x, padding), Geometry(kernel, stride, padding), size)
    return view.reshape(n * oh * ow, kh * kw * c)


@accelerated
def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The adjoint of `gather_rows`: gx: (N, H, W, C) = `shape`, from grows: (N OH OW, KH KW C)."""
    (n, h, w, c), (kh, kw), (ph, pw) = shape, kernel, padding
    grows = grows.reshape(n, *size, kh, kw, c)
    gpadded = array_module(grows).zeros((n, h + 2 * ph, w + 2 * pw, c), grows.dtype)
    for i in range(kh):
        for j in range(kw):
            shifted(gpadded, i, j, stride, size)[...] += grows[:, :, :, i, j]
    return crop_image(gpadded, padding)


def _adjoint_padding(geometry: Geometry) -> tuple[int, int]:
    """K - 1 - padding, the margin that the stride-1 adjoint puts around gy."""
    return tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding, strict=True))


def _pointwise(x, weight, geometry: Geometry):
    """A 1x1 kernel: y = X W over all the pixels read.   gX = gy W^T;  gW = X^T gy."""
    if geometry.kernel != (1, 1) or geometry.padding != (0, 0):
        raise ValueError(f"the pointwise algorithm needs a 1x1 kernel unpadded, got {geometry}")
    xp, (c_in, c_out), shape = array_module(x), weight.shape[2:], x.shape
    size = geometry.output_size(*shape[1:3])
    outputs = shape[0] * size[0] * size[1]
    pixels = shifted(x, 0, 0, geometry.stride, size).reshape(outputs, c_in)
    matrix = weight[0, 0]
    y = (pixels @ matrix).reshape(shape[0], *size, c_out)

    def to_x(gy):
        gpixels = (gy.reshape(outputs, c_out) @ matrix.T).reshape(shape[0], *size, c_in)
        if geometry.stride == (1, 1):
            return gpixels
        gx = xp.zeros(shape, gy.dtype)
        shifted(gx, 0, 0, geometry.stride, size)[...] = gpixels
        return gx

    def to_weight(gy):
        return (pixels.T @ gy.reshape(outputs, c_out)).reshape(weight.shape)

    return y, _separately(to_x, to_weight)


_FORMS = {
    "reference": _reference,
    "gather": _gather,
    "pointwise": _pointwise,
    "winograd": winograd,
}


def _check(x, weight, bias, stride, padding, algorithm) -> Geometry:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown convolution algorithm {algorithm!r}: use one of {ALGORITHMS}")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            "conv2d needs x (N, H, W, C_in) and weight (KH, KW, C_in, C_out), got "
            f"{x.shape} and {weight.shape}"
        )
    if x.shape[3] != weight.shape[2]:
        raise ValueError(
            f"conv2d: x {x.shape} has {x.shape[3]} channels, weight {weight.shape} reads "
            f"{weight.shape[2]}"
        )
    if bias is not None and bias.shape != weight.shape[3:]:
        raise ValueError(f"conv2d: bias has shape {bias.shape}, needs {weight.shape[3:]}")
    return Geometry.of(np.shape(weight)[:2], stride, padding)
