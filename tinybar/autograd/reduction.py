"""Sums, means and maxima over axes."""

from __future__ import annotations

from functools import reduce
from math import prod
from numbers import Integral
from operator import add

import numpy as np

from ..runtime import blas, threads
from ..runtime.arrays import array_module
from .primitive import primitive

WORTH_A_CORE = 1 << 17  # numbers to add: fewer are added before another thread has woken up


def normalise_axes(axis, ndim: int) -> tuple[int, ...]:
    """`axis` (None, an integer or several) as a tuple of axes in 0..ndim-1.

    Raises ValueError for an axis that does not exist or is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    named = (axis,) if isinstance(axis, Integral) else tuple(axis)
    axes = tuple(a + ndim if a < 0 else a for a in named)
    if any(not 0 <= a < ndim for a in axes) or len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} does not fit an array of {ndim} dimensions")
    return axes


def sum_per_channel(a):
    """The sum over all axes but the last, as 1^T A, a product with a row of ones.

    a: (..., C), result: (C,). Over leading axes BLAS is several times faster than NumPy's own sum,
    and adds in blocks, which loses less in float32. On a GPU a product may round its factors
    (`backend.use_precision`), a sum never does.
    """
    xp, c = array_module(a), a.shape[-1]
    m = prod(a.shape[:-1])
    if xp is not np:
        return a.reshape(m, c).sum(axis=0)
    rows, parts = a.reshape(m, c), threads.slices(m, int(np.clip(m * c // WORTH_A_CORE, 1, 16)))
    with blas.one_thread():  # its own threads would spin on when the sum is done
        sums = threads.each(lambda part: np.ones(len(rows[part]), a.dtype) @ rows[part], parts)
    return reduce(add, sums)


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


@primitive(inputs=1)
def sum(x, axis=None, keepdims=False):
    """y = sum of x over `axis`.   gx = gy, repeated along `axis`."""
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    y = x.sum(axis=axes, keepdims=keepdims)
    shape, kept = x.shape, _kept(x.shape, axes)
    return y, lambda gy: xp.broadcast_to(gy.reshape(kept), shape)


@primitive(inputs=1)
def mean(x, axis=None, keepdims=False):
    """y = (1/m) sum of x over `axis`, m elements each.   gx = gy / m, repeated along `axis`.

    Raises ValueError for a mean of nothing.
    """
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    m = prod(x.shape[a] for a in axes)
    if m == 0:
        raise ValueError(f"mean over no elements: shape {x.shape}, axis {axis}")
    y = x.mean(axis=axes, keepdims=keepdims)
    shape, kept = x.shape, _kept(x.shape, axes)
    return y, lambda gy: xp.broadcast_to(gy.reshape(kept) / m, shape)


@primitive(inputs=1)
def max(x, axis=None, keepdims=False):
    """y = largest x along `axis`.   gx = gy where x = y, shared equally among ties."""
    axes = normalise_axes(axis, x.ndim)
    y = x.max(axis=axes, keepdims=True)
    kept = y.shape

    def pullback(gy):
        largest = (x == y).astype(gy.dtype)
        return gy.reshape(kept) * largest / largest.sum(axis=axes, keepdims=True)

    left = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return (y if keepdims else y.reshape(left)), pullback
