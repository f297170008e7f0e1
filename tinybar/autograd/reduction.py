"""Sums, means and maxima over axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import SupportsIndex

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module
from .primitive import primitive
from .sums import total
from .tensor import Operand


def normalise_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """`axis` (None, an integer or several) as a tuple of axes in 0..ndim-1.

    Raises ValueError for an axis that does not exist or is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    named = (axis,) if isinstance(axis, SupportsIndex) else tuple(axis)
    axes = tuple(a + ndim if a < 0 else a for a in named)
    if any(not 0 <= a < ndim for a in axes) or len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} does not fit an array of {ndim} dimensions")
    return axes


@accelerated
def sum_per_channel(a):
    """The sum over all axes but the last.   a: (..., C), result: (C,)."""
    return a.reshape(prod(a.shape[:-1]), a.shape[-1]).sum(axis=0)


def _squeezed(y, axes: tuple[int, ...], keepdims: bool):
    return y if keepdims else y.reshape([n for a, n in enumerate(y.shape) if a not in axes])


@primitive(inputs=1)
def sum(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False):
    """y = sum of x over `axis`.   gx = gy, repeated along `axis`."""
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    y = total(x, axes)
    shape, kept = x.shape, y.shape
    return _squeezed(y, axes, keepdims), lambda gy: xp.broadcast_to(gy.reshape(kept), shape)


@primitive(inputs=1)
def mean(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False):
    """y = (1/m) sum of x over `axis`, m elements each.   gx = gy / m, repeated along `axis`.

    Raises ValueError for a mean of nothing.
    """
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    m = prod(x.shape[a] for a in axes)
    if m == 0:
        raise ValueError(f"mean over no elements: shape {x.shape}, axis {axis}")
    y = total(x, axes) / m
    shape, kept = x.shape, y.shape
    return _squeezed(y, axes, keepdims), lambda gy: xp.broadcast_to(gy.reshape(kept) / m, shape)


@primitive(inputs=1)
def max(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False):
    """y = largest x along `axis`.   gx = gy where x = y, shared equally among ties, else 0.

    NaN is larger than every number: then y is NaN, and its gradient goes to the NaNs.
    """
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    y = x.max(axis=axes, keepdims=True)
    kept = y.shape

    def pullback(gy):
        largest = (x == y) | (x != x)
        share = gy.reshape(kept) / largest.sum(axis=axes, keepdims=True, dtype=gy.dtype)
        return xp.where(largest, share, 0)

    return _squeezed(y, axes, keepdims), pullback
