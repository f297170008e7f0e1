"""Sums that keep float32's digits."""

from __future__ import annotations

from math import prod

import numpy as np

from ..runtime import blas
from ..runtime.arrays import Array, array_module

BLOCK = 64  # rows that are added one after another; up to four blocks are one


def total(a: Array, axes: tuple[int, ...]) -> Array:
    """The sum over `axes`, kept as axes of one.

    NumPy adds in pairs along the last axis, but row after row along the others: of 512 x 512 pixels
    in float32 the third digit may be wrong. Here rows are added by blocks, and so are the sums of
    blocks: products with a row of ones, which is faster for large arrays. (On a GPU every sum is a
    tree.)
    """
    if array_module(a) is not np or a.dtype.kind != "f" or a.size <= BLOCK:
        return a.sum(axis=axes, keepdims=True)
    a = np.asarray(a, order="C")
    if len(axes) in (0, a.ndim):
        return a.sum(axis=axes, keepdims=True)
    for k in sorted(axes, reverse=True):
        is_careful = k == a.ndim - 1 or a.shape[k] <= BLOCK
        a = a.sum(axis=k, keepdims=True) if is_careful else _along(a, k)
    return a


def _along(a, axis: int):
    """The sum along an axis that is not the last one, kept as an axis of one."""
    shape = a.shape
    n, m, c = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    return _of_rows(a.reshape(n, m, c)).reshape(*shape[:axis], 1, *shape[axis + 1 :])


@blas.one_thread()
def _of_rows(a):
    """a: (n, m, c), result: (n, c)."""
    while (m := a.shape[1]) > 4 * BLOCK:
        blocks, rest = divmod(m, BLOCK)
        whole = a[:, : m - rest].reshape(len(a), blocks, BLOCK, a.shape[2])
        sums = np.ones(BLOCK, a.dtype) @ whole
        if rest:
            sums[:, -1] += np.ones(rest, a.dtype) @ a[:, m - rest :]
        a = sums
    return np.ones(a.shape[1], a.dtype) @ a
