"""Sums that keep float32's digits."""

from __future__ import annotations

from math import prod

import numpy as np

from ..runtime import blas
from ..runtime.arrays import array_module

BLOCK = 64  # rows that are added one after another; up to four blocks are one


def total(a, axes: tuple[int, ...]):
    """The sum over `axes`, kept as axes of one.

    NumPy adds in pairs along the last axis, but row after row along the others: of 512 x 512 pixels
    in float32 the third digit may be wrong. Here rows are added by blocks, and so are the sums of
    blocks; as products with a row of ones that is no slower. (On a GPU every sum is a tree.)
    """
    if array_module(a) is np and a.dtype.kind == "f":
        a, last = np.asarray(a, order="C"), a.ndim - 1
        rows = [k for k in axes if k != last]
        m = prod([a.shape[k] for k in rows])
        if m > BLOCK and len(axes) < a.ndim:
            if last in axes:
                a = a.sum(axis=last, keepdims=True)
            kept = [k for k in range(last) if k not in axes]
            n = prod([a.shape[k] for k in kept])
            sums = _of_rows(a.transpose(*kept, *rows, last).reshape(n, m, a.shape[last]))
            return sums.reshape([1 if k in axes else size for k, size in enumerate(a.shape)])
    return a.sum(axis=axes, keepdims=True)


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
