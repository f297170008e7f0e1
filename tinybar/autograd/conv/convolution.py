"""Convolution (cross-correlation, as all deep-learning libraries call it), channels last.

    y[n,p,q,k] = bias[k] + sum_{i,j,c} xpad[n, p s + i, q s + j, c] weight[i,j,c,k]

It is linear in x and in weight, and each pullback is the transpose of a linear map. Four algorithms
compute it, all held to the first one by the tests:

    reference   the sum as it stands: one product per kernel offset (i, j)
    gather      the windows copied to the rows of one matrix, one product (`gather.py`)
    pointwise   a 1x1 kernel without padding: a matrix product over all pixels (`pointwise.py`)
    winograd    3x3 kernels of stride 1, a quarter of the multiplications (`winograd.py`)

The error of the last is larger where one pixel outshines its neighbours: `winograd.py` has the
bound, and `use_algorithm` does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...kernels.dispatch import accelerated
from ...runtime import blas
from ...runtime.arrays import Array, array_module
from ..primitive import primitive
from ..reduction import sum_per_channel
from ..sums import total
from ..tensor import Operand
from ..windows import Geometry, crop_image, pad_image, shifted
from .algorithm import Algorithm, by_parts, image_parts, separately
from .gather import gather
from .pointwise import pointwise
from .winograd import TILE, winograd

ALGORITHMS = ("auto", "reference", "gather", "pointwise", "winograd")
CHOICES = ("auto", "gather")
_choice = "auto"


def use_algorithm(name: str) -> None:
    """Let algorithm="auto" stand, from now on, for the fastest ("auto") or for a direct sum.

    "gather" is then what computes the convolutions that were Winograd's. Gradients are computed as
    their convolution was. Raises ValueError for another name.
    """
    global _choice
    if name not in CHOICES:
        raise ValueError(f"convolutions are computed by one of {', '.join(CHOICES)}, not {name!r}")
    _choice = name


@primitive(inputs=3, named=("gate",), floating=True)
def conv2d(
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    *,
    gate: Operand = None,
    algorithm: str = "auto",
    needs: Sequence[bool] = (True,) * 4,
):
    """y = z (x * weight + bias) = x * weight' + bias',  weight' = z weight,  bias' = z bias.

    gx, gweight': see `reference`;  gbias' = sum of gy over N, OH, OW;  gweight = z gweight';
    gbias = z gbias';  gz = (sum of weight gweight' over KH, KW, C_in) + bias gbias'.
    x: (N, H, W, C_in), weight: (KH, KW, C_in, C_out), bias and the gate z: (C_out,) or None for
    none, y: (N, OH, OW, C_out) with OH = floor((H + 2 padding - KH) / stride) + 1.
    The gate multiplies the weight, which is smaller than y.
    stride, padding: pixels, an integer or a (vertical, horizontal) pair.
    Raises ValueError where the shapes do not fit, or for an unknown algorithm.
    """
    geometry = _check(x, weight, bias, gate, stride, padding, algorithm)
    with blas.one_thread():  # the cores work on parts; what is left is too small for all
        chosen = _prepare(algorithm, x.shape, weight, gate, geometry)
        y = chosen.forward(x)
    if bias is not None:
        y += bias if gate is None else bias * gate

    @blas.one_thread()
    def pullback(gy):
        gx, gweight = chosen.pullback(x, gy, (needs[0], needs[1] or needs[3]))
        gbias = sum_per_channel(gy) if bias is not None and (needs[2] or needs[3]) else None
        ggate = None
        if gate is not None and gweight is not None:
            gweight, ggate = gate_pullback(gweight, weight, gate)
        if gate is not None and gbias is not None:
            ggate = None if ggate is None else ggate + gbias * bias
            gbias = gbias * gate
        return gx, gweight, gbias, ggate

    return y, pullback


@accelerated
def gate_pullback(ggated, weight, gate):
    """(gweight, ggate) of weight times gate, (..., C) and (C,), from the product's gradient."""
    products = ggated * weight
    return ggated * gate, total(products, tuple(range(weight.ndim - 1))).reshape(gate.shape)


def reference(weight: Array, geometry: Geometry, image_size: tuple[int, int]) -> Algorithm:
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

    return Algorithm(forward, separately(to_x, to_weight), size[0] * size[1], scratch_per_image=0)


def choose_algorithm(
    geometry: Geometry, x_shape: tuple[Any, ...], weight_shape: tuple[Any, ...]
) -> str:
    """The algorithm that measures fastest on a CPU for these shapes, of those `use_algorithm` left.

    An image that is not whole tiles of Winograd's wastes a part of the last ones: up to a third of
    all that is computed pays, whatever the number of channels.
    """
    if geometry.kernel == (1, 1) and geometry.padding == (0, 0):
        return "pointwise"
    if geometry.kernel == (3, 3) and geometry.stride == (1, 1) and _choice != "gather":
        oh, ow = geometry.output_size(*x_shape[1:3])
        computed = -(-oh // TILE) * -(-ow // TILE) * TILE**2
        if computed <= 1.5 * oh * ow:
            return "winograd"
    return "gather"


def _prepare(
    name: str, x_shape: tuple[int, ...], weight: Array, gate: Any, geometry: Geometry
) -> Algorithm:
    """The algorithm of that name for weight times gate; on a CPU it works on the batch by parts."""
    if name == "auto":
        name = choose_algorithm(geometry, x_shape, weight.shape)
    size = x_shape[1], x_shape[2]
    if name == "winograd":
        algorithm = winograd(weight, geometry, size, gate)
    else:
        make = {"reference": reference, "gather": gather, "pointwise": pointwise}[name]
        algorithm = make(weight if gate is None else weight * gate, geometry, size)
    parts = image_parts(x_shape[0], algorithm, max(weight.shape[2:]))
    if len(parts) == 1 or array_module(weight) is not np:
        return algorithm
    return by_parts(algorithm, parts, geometry.output_size(*size), weight.shape[3])


def _check(x, weight, bias, gate, stride, padding, algorithm) -> Geometry:
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
    if gate is not None and gate.shape != weight.shape[3:]:
        raise ValueError(f"conv2d: gate has shape {gate.shape}, needs {weight.shape[3:]}")
    return Geometry.of(np.shape(weight)[:2], stride, padding)
