"""Convolution with a 1x1 kernel: a matrix product over all pixels."""

from __future__ import annotations

from ...runtime.arrays import Array, array_module
from ..windows import Geometry, shifted
from .algorithm import Algorithm, product, separately


def pointwise(weight: Array, geometry: Geometry, image_size: tuple[int, int]) -> Algorithm:
    """y = X W over the pixels that are read.   gX = gy W^T;  gW = X^T gy."""
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
        return product(pixels(x).T, gy.reshape(len(x) * outputs, c_out), weight.shape)

    return Algorithm(forward, separately(to_x, to_weight), outputs, outputs * (c_in + c_out))
