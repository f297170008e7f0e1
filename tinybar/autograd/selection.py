"""Gather and scatter-add along one axis: the two halves of mixed connectivity (Supp. 2).

An index is a sequence of integers on the host, whatever the device: the pruner decides it once,
and neither its checks nor its shape may make the GPU wait. (One on the GPU is fetched.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module, to_numpy, zero_where
from .primitive import primitive
from .reduction import normalise_axes
from .tensor import Operand


@primitive(inputs=1)
def take(x: Operand, index: Any, axis: int = -1):
    """y = x[..., index, ...], the entries `index` along `axis`.   gx[index] += gy, else 0.

    Supp. 2: h[I_in], the unpruned channels of the residual signal. IndexError out of range.
    """
    xp, (axis,) = array_module(x), normalise_axes(axis, x.ndim)
    where = _along(x, index, axis)
    shape = x.shape
    return (
        _read(xp, x, where, axis),
        lambda gy: _added(xp, xp.zeros(shape, gy.dtype), gy, where, axis),
    )


@primitive(inputs=2)
def scatter_add(x: Operand, delta: Operand, index: Any, axis: int = -1):
    """y = x, but y[..., index, ...] += delta along `axis`.   gx = gy;  gdelta = gy[index].

    Supp. 2: h_l[I_out] = h_{l-1}[I_out] + delta, and h_l = h_{l-1} elsewhere. An entry named
    twice in `index` collects both. Raises IndexError out of range, ValueError for a wrong shape.
    """
    xp, (axis,) = array_module(x), normalise_axes(axis, x.ndim)
    where, count = _along(x, index, axis), np.size(index)
    expected = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if delta.shape != expected:
        raise ValueError(
            f"scatter_add: delta has shape {delta.shape}, but x {x.shape} with {count} "
            f"indices along axis {axis} needs {expected}"
        )
    y = _added(xp, x, delta, where, axis)
    return y, (lambda gy: gy, lambda gy: _read(xp, gy, where, axis))


@primitive(inputs=1, floating=True)
def raise_best(x: Operand, slices: Any, floor: float):
    """y = x, but in each slice the highest, the first of equal ones, is at least `floor`.

    gx = gy, but 0 where y > x.   x, y: (C,).
    """
    y = raised(x, slices, float(floor))
    return y, lambda gy: zero_where(y > x, gy)


@accelerated
def raised(x, slices, floor):
    """y of `raise_best`."""
    xp, y = array_module(x), x.copy()
    for where in slices:
        part = y[where]
        is_best = xp.arange(len(part)) == part.argmax()
        y[where] = xp.where(is_best, xp.maximum(part, floor), part)
    return y


@accelerated
def read_channels(x, index):
    """x[..., index]."""
    return x.take(array_module(x).asarray(index), -1)


@accelerated
def add_channels(x, delta, index):
    """x, with delta added at [..., index], entries named twice adding up."""
    y = x.copy()
    _add_at(array_module(x), y, (..., index), delta)
    return y


def _along(x, index, axis: int) -> tuple[Any, ...]:
    """`index` along `axis` as an indexing tuple; a run of neighbours becomes a slice (a view).

    Raises TypeError for booleans and fractions, which NumPy would round to 0 and 1; ValueError for
    an index with axes of its own.
    """
    index = np.asarray(to_numpy(index))
    if index.ndim > 1:
        raise ValueError(f"an index is a sequence of integers, not an array of shape {index.shape}")
    index = index.reshape(-1)
    if index.size and index.dtype.kind not in "iu":
        raise TypeError(f"an index holds integers, not {index.dtype}")
    index, n = index.astype(np.intp), x.shape[axis]
    if index.size and (index.min() < -n or index.max() >= n):
        raise IndexError(f"index {index.tolist()} is out of range for axis {axis} of {x.shape}")
    index = index % n if n else index
    if index.size and np.array_equal(index, np.arange(index[0], index[0] + index.size)):
        index = slice(int(index[0]), int(index[0]) + index.size)
    return (*(slice(None),) * axis, index)


def _read(xp, source, where: tuple[Any, ...], axis: int):
    """source[where]: a view where `where` is a slice."""
    index = where[axis]
    if isinstance(index, slice):
        return source[where]
    if axis == source.ndim - 1:
        return read_channels(source, index)
    return xp.take(source, xp.asarray(index), axis)


def _added(xp, x, delta, where: tuple[Any, ...], axis: int):
    """A copy of x with delta added at `where`."""
    if delta.shape == x.shape and isinstance(where[axis], slice):
        return xp.add(x, delta, dtype=x.dtype)
    if axis == x.ndim - 1 and not isinstance(where[axis], slice):
        return add_channels(x, delta, where[axis])
    y = x.copy()
    _add_at(xp, y, where, delta)
    return y


def _add_at(xp, target, where: tuple[Any, ...], values) -> None:
    """target[where] += values, entries named twice adding up. In place."""
    *before, index = where
    if isinstance(index, slice):
        target[where] += values
        return
    there = (*before, xp.asarray(index))
    if np.unique(index).size == index.size:
        target[there] += values
    else:
        xp.add.at(target, there, values)
