"""Sums that keep float32's digits."""

from __future__ import annotations

from math import prod

import numpy as np

from ..runtime.arrays import array_module

FEW = 64  # rows that may be added one after another


def total(a, axes: tuple[int, ...]):
    """The sum over `axes`, kept as axes of one.

    NumPy adds in pairs along the axis whose entries lie side by side, but row after row along the
    others: of 512 x 512 pixels in float32 the third digit may be wrong. Here rows are added by
    halves until they are few, so that an entry goes through at most FEW + log2 n additions. (On a
    GPU every sum is a tree.)
    """
    if array_module(a) is np and a.dtype.kind == "f" and not (len(axes) == a.ndim and a.flags.forc):
        rows = [axis for axis in axes if a.strides[axis] != a.itemsize]
        while prod(a.shape[axis] for axis in rows) > FEW:
            a = _halved(a, max(rows, key=lambda axis: a.shape[axis]))
    return a.sum(axis=axes, keepdims=True)


def _halved(a, axis: int):
    """The second half along an axis added to the first, the one that is left over to the last."""
    rows = np.moveaxis(a, axis, 0)
    half, odd = divmod(len(rows), 2)
    halves = rows[:half] + rows[half : 2 * half]
    if odd:
        halves[-1] += rows[-1]
    return np.moveaxis(halves, 0, axis)
