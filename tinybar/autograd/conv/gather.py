"""Convolution as one matrix product, of windows gathered as rows [im2col, Chellapilla 2006]."""

from __future__ import annotations

from ...kernels.dispatch import accelerated
from ...runtime.arrays import Array, array_module
from ..windows import Geometry, crop_image, pad_image, shifted, windows
from .algorithm import Algorithm, product, separately


def gather(weight: Array, geometry: Geometry, image_size: tuple[int, int]) -> Algorithm:
    """y = rows weight, with the windows as rows (N OH OW, KH KW C_in).

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
    margin = tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding, strict=True))

    def forward(x):
        return (gather_rows(x, *geometry, size) @ matrix).reshape(len(x), *size, c_out)

    def to_weight(x, gy):
        rows = gather_rows(x, *geometry, size)
        return product(rows.T, gy.reshape(len(rows), c_out), weight.shape)

    def to_x_by_convolution(x, gy):
        turned = xp.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
        grows = gather_rows(gy, geometry.kernel, (1, 1), margin, x.shape[1:3])
        return (grows @ turned.reshape(kh * kw * c_out, c_in)).reshape(x.shape)

    def to_x_by_scattering(x, gy):
        grows = gy.reshape(len(x) * outputs, c_out) @ matrix.T
        return scatter_rows(grows, x.shape, *geometry, size)

    def to_x(x, gy):
        turnable = geometry.stride == (1, 1) and min(margin) >= 0
        is_turned = turnable and len(x) * outputs > c_out
        return to_x_by_convolution(x, gy) if is_turned else to_x_by_scattering(x, gy)

    scratch = outputs * kh * kw * max(c_in, c_out)
    return Algorithm(forward, separately(to_x, to_weight), outputs, scratch)


@accelerated
def gather_rows(x, kernel, stride, padding, size):
    """The windows of x as the rows of a matrix: (N OH OW, KH KW C)."""
    n, c = x.shape[0], x.shape[3]
    (kh, kw), (oh, ow) = kernel, size
    view = windows(pad_image(x, padding), Geometry(kernel, stride, padding), size)
    return view.reshape(n * oh * ow, kh * kw * c)


@accelerated
def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The pullback of `gather_rows`: gx (N, H, W, C) = `shape`, from grows (N OH OW, KH KW C)."""
    (n, h, w, c), (kh, kw), (ph, pw) = shape, kernel, padding
    grows = grows.reshape(n, *size, kh, kw, c)
    gpadded = array_module(grows).zeros((n, h + 2 * ph, w + 2 * pw, c), grows.dtype)
    for i in range(kh):
        for j in range(kw):
            shifted(gpadded, i, j, stride, size)[...] += grows[:, :, :, i, j]
    return crop_image(gpadded, padding)
