"""Convolution (cross-correlation, as all deep-learning libraries call it), channels last.

    y[n,p,q,k] = bias[k] + sum_{i,j,c} xpad[n, p s + i, q s + j, c] weight[i,j,c,k]

It is linear in x and in weight, so each pullback is the adjoint of a linear map. Four forms
compute it, all held to the first one by the tests:

    reference   the sum as it stands: one product per kernel offset (i, j)
    gather      the windows copied to the rows of one matrix, one product [im2col, Chellapilla 2006]
    pointwise   a 1x1 kernel without padding: a matrix product over all pixels
    winograd    3x3 kernels of stride 1, a quarter of the multiplications (`winograd.py`)

Each is a `Form` (`forms.py`), and is given a batch part by part.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...kernels.dispatch import accelerated
from ...runtime import blas
from ...runtime.arrays import array_module
from ..primitive import primitive
from ..reduction import sum_per_channel
from ..windows import Geometry, crop_image, pad_image, shifted, windows
from .algorithm import Form, by_parts, image_parts
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
    with blas.one_thread():  # the cores work on parts; what is left is too small for all
        form = _form(x.shape, weight, geometry, algorithm)
        y = form.forward(x)
    if bias is not None:
        y += bias

    @blas.one_thread()
    def pullback(gy):
        gx, gweight = form.adjoints(x, gy, needs[:2])
        gbias = sum_per_channel(gy) if bias is not None and needs[2] else None
        return gx, gweight, gbias

    return y, pullback


def _form(x_shape: tuple, weight, geometry: Geometry, algorithm: str) -> Form:
    if algorithm == "auto":
        algorithm = choose_algorithm(geometry, x_shape, weight.shape)
    form = _FORMS[algorithm](weight, geometry, x_shape[1:3])
    parts = image_parts(x_shape[0], form, max(weight.shape[2:]))
    if len(parts) == 1 or array_module(weight) is not np:
        return form
    return by_parts(form, parts, geometry.output_size(*x_shape[1:3]), weight.shape[3])


def choose_algorithm(geometry: Geometry, x_shape: tuple, weight_shape: tuple) -> str:
    """The form that measures fastest on a CPU for these shapes.

    An image that is not whole tiles of Winograd's wastes a part of the last ones: up to a third of
    all that is computed pays, whatever the number of channels.
    """
    if geometry.kernel == (1, 1) and geometry.padding == (0, 0):
        return "pointwise"
    if geometry.kernel == (3, 3) and geometry.stride == (1, 1):
        oh, ow = geometry.output_size(*x_shape[1:3])
        computed = -(-oh // TILE) * -(-ow // TILE) * TILE**2
        if computed <= 1.5 * oh * ow:
            return "winograd"
    return "gather"


def _separately(to_x: Callable, to_weight: Callable) -> Callable:
    """The adjoints of a form whose two have nothing in common."""
    return lambda x, gy, needs: (
        to_x(x, gy) if needs[0] else None,
        to_weight(x, gy) if needs[1] else None,
    )


def _reference(weight, geometry: Geometry, image_size: tuple[int, int]) -> Form:
    """The definition: y = sum_ij X_ij W_ij, with X_ij the pixel (i, j) of every window.

    gX_ij = gy W_ij^T, added where X_ij was read;  gW_ij = X_ij^T gy.
    """
    xp, (kh, kw) = array_module(weight), geometry.kernel
    size = geometry.output_size(*image_size)
    offsets = [(i, j) for i in range(kh) for j in range(kw)]

    def forward(x):
        padded = pad_image(x, geometry.padding)
        y = xp.zeros((len(x), *size, weight.shape[3]), x.dtype)
        for i, j in offsets:
            y += shifted(padded, i, j, geometry.stride, size) @ weight[i, j]
        return y

    def to_x(x, gy):
        gpadded = pad_image(xp.zeros(x.shape, gy.dtype), geometry.padding)
        for i, j in offsets:
            shifted(gpadded, i, j, geometry.stride, size)[...] += gy @ weight[i, j].T
        return crop_image(gpadded, geometry.padding)

    def to_weight(x, gy):
        padded, gweight = pad_image(x, geometry.padding), xp.empty(weight.shape, gy.dtype)
        for i, j in offsets:
            pixel = shifted(padded, i, j, geometry.stride, size)
            gweight[i, j] = xp.tensordot(pixel, gy, axes=((0, 1, 2), (0, 1, 2)))
        return gweight

    return Form(forward, _separately(to_x, to_weight), rows=size[0] * size[1], scratch=0)


def _gather(weight, geometry: Geometry, image_size: tuple[int, int]) -> Form:
    """One product: rows (N OH OW, KH KW C_in) gathered from the windows, times the weight.

    gweight = rows^T gy.  gx: the rows' gradient gy weight^T is added back where the rows were
    read; or, for stride 1, a convolution again, of gy padded by K - 1 - padding with the kernel
    turned by 180 degrees and its channels exchanged. To turn it is to copy it, KH KW C_in numbers
    for each of C_out, to add back as many for each row: few rows are added back, many convolved.
    The rows are KH KW / (stride^2) times as large as x: gathered again for gweight, not kept.
    """
    xp, (kh, kw, c_in, c_out) = array_module(weight), weight.shape
    size = geometry.output_size(*image_size)
    outputs = size[0] * size[1]
    matrix = weight.reshape(kh * kw * c_in, c_out)

    def forward(x):
        return (gather_rows(x, *geometry, size) @ matrix).reshape(len(x), *size, c_out)

    def to_weight(x, gy):
        rows = gather_rows(x, *geometry, size)
        return (rows.T @ gy.reshape(len(rows), c_out)).reshape(weight.shape)

    def to_x_by_convolution(x, gy):
        around = Geometry(geometry.kernel, (1, 1), _adjoint_padding(geometry))
        turned = xp.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
        grows = gather_rows(gy, *around, x.shape[1:3])
        return (grows @ turned.reshape(kh * kw * c_out, c_in)).reshape(x.shape)

    def to_x_by_scattering(x, gy):
        grows = gy.reshape(len(x) * outputs, c_out) @ matrix.T
        return scatter_rows(grows, x.shape, *geometry, size)

    turnable = geometry.stride == (1, 1) and min(_adjoint_padding(geometry)) >= 0

    def to_x(x, gy):
        is_turned = turnable and len(x) * outputs > c_out
        return to_x_by_convolution(x, gy) if is_turned else to_x_by_scattering(x, gy)

    scratch = outputs * kh * kw * max(c_in, c_out)
    return Form(forward, _separately(to_x, to_weight), outputs, scratch)


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


def _pointwise(weight, geometry: Geometry, image_size: tuple[int, int]) -> Form:
    """A 1x1 kernel: y = X W over all the pixels read.   gX = gy W^T;  gW = X^T gy."""
    if geometry.kernel != (1, 1) or geometry.padding != (0, 0):
        raise ValueError(f"the pointwise algorithm needs a 1x1 kernel unpadded, got {geometry}")
    xp, (c_in, c_out) = array_module(weight), weight.shape[2:]
    size = geometry.output_size(*image_size)
    outputs = size[0] * size[1]
    matrix = weight[0, 0]

    def pixels(x):
        return shifted(x, 0, 0, geometry.stride, size).reshape(len(x) * outputs, c_in)

    def forward(x):
        return (pixels(x) @ matrix).reshape(len(x), *size, c_out)

    def to_x(x, gy):
        gpixels = (gy.reshape(len(x) * outputs, c_out) @ matrix.T).reshape(len(x), *size, c_in)
        if geometry.stride == (1, 1):
            return gpixels
        gx = xp.zeros(x.shape, gy.dtype)
        shifted(gx, 0, 0, geometry.stride, size)[...] = gpixels
        return gx

    def to_weight(x, gy):
        return (pixels(x).T @ gy.reshape(len(x) * outputs, c_out)).reshape(weight.shape)

    return Form(forward, _separately(to_x, to_weight), outputs, outputs * (c_in + c_out))


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
