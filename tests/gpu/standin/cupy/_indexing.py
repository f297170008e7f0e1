"""Indexing: views by slices, kernels by arrays of integers, waits by masks.

An index out of range wraps around, as CuPy's does. Of entries that are written twice in one
assignment, CuPy keeps any; here the first is kept, where NumPy keeps the last.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import standin
from ._array import copy_into, device_dtype, ndarray, new, upload


def prepared(index) -> tuple:
    """The parts of an index, arrays of the host and lists copied to the device."""
    parts = []
    for part in index if isinstance(index, tuple) else (index,):
        is_plain = part is None or part is Ellipsis or isinstance(part, (slice, ndarray))
        if is_plain or (np.isscalar(part) and not isinstance(part, (bool, np.bool_))):
            parts.append(part)
            continue
        host = np.asarray(part)
        parts.append(to_device(host.astype(np.int32) if host.size == 0 else host))
    return tuple(parts)


def to_device(host: np.ndarray, dtype=None) -> ndarray:
    """A copy on the device. A single number is an argument of a kernel that fills."""
    made = new(host.shape, device_dtype(host.dtype if dtype is None else dtype))
    if host.ndim:
        if host.size:
            upload(made._host, host)
    else:
        made.fill(host)
    return made


def getitem(array: ndarray, index) -> ndarray:
    """array[index]."""
    parts = prepared(index)
    arrays = [part for part in parts if isinstance(part, ndarray)]
    if not arrays:
        return array._view(array._host[(*parts, *[Ellipsis][: Ellipsis not in parts])])
    made = new(selected_shape(array, parts), array.dtype)
    prepare(arrays)
    if made.size:
        target, source = made._host, array._host
        job = lambda: np.copyto(target, source[wrapped(source, parts)])  # noqa: E731
        standin.launch("take", job, target.size)
    return made


def setitem(array: ndarray, index, value) -> None:
    """array[index] = value."""
    parts = prepared(index)
    arrays = [part for part in parts if isinstance(part, ndarray)]
    if not arrays:
        assign(array._view(array._host[(*parts, *[Ellipsis][: Ellipsis not in parts])]), value)
        return
    shape = selected_shape(array, parts)
    prepare(arrays)
    if not isinstance(value, ndarray):
        value = to_device(np.asarray(value), array.dtype)
    source, target = value.astype(array.dtype, copy=False)._host, array._host
    source = np.broadcast_to(source, shape)
    if source.size:
        standin.launch("scatter", lambda: write_first(target, parts, source), source.size)


def assign(view: ndarray, value) -> None:
    """view[...] = value."""
    if not isinstance(value, ndarray):
        view.fill(value)
        return
    target, source = view._host, value._host
    if _place(target) == _place(source):
        return  # a[i] += b ends so
    source = source.reshape(source.shape[max(0, source.ndim - target.ndim) :])
    if np.broadcast_shapes(source.shape, target.shape) != target.shape:
        raise ValueError(f"could not broadcast {value.shape} into {view.shape}")
    copy_into(target, source)


def _place(host: np.ndarray) -> tuple:
    return host.shape, host.strides, host.ctypes.data


def prepare(arrays: list[ndarray]) -> None:
    """Count what CuPy does before: positions from several arrays, or the numbering of a mask."""
    for array in arrays:
        if array.dtype.kind == "b":
            standin.count("launches", "scan")
            standin.read("the entries of a mask")
    if len(arrays) > 1:
        standin.count("launches", "positions", 1 + len(arrays))


def selected_shape(array: ndarray, parts: tuple) -> tuple[int, ...]:
    """The shape of array[parts]. Only of a mask does it depend on the entries."""
    for part in parts:
        if isinstance(part, ndarray) and part.dtype.kind not in "biu":
            raise IndexError(
                f"arrays used as indices must be of integer or boolean type: {part.dtype}"
            )
    hosts = tuple(_shaped(part) if isinstance(part, ndarray) else part for part in parts)
    if 0 in array.shape and any(isinstance(p, ndarray) and p.size for p in parts):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return np.broadcast_to(np.empty((), bool), array.shape)[hosts].shape


def _shaped(part: ndarray) -> np.ndarray:
    return part._host if part.dtype.kind == "b" else np.zeros(part.shape, np.int64)


def wrapped(host: np.ndarray, parts: tuple) -> tuple:
    """The index for NumPy, with integers brought into range."""
    taken = sum(_axes(part) for part in parts)
    axis, found = 0, []
    for part in parts:
        if isinstance(part, ndarray):
            entries = part._host
            if entries.dtype.kind != "b":
                entries = entries % host.shape[axis] if host.shape[axis] else entries
            found.append(entries)
        else:
            found.append(part)
        axis += host.ndim - taken if part is Ellipsis else _axes(part)
    return tuple(found)


def _axes(part) -> int:
    if isinstance(part, ndarray):
        return part.ndim if part.dtype.kind == "b" else 1
    return 0 if part is None or part is Ellipsis else 1


def write_first(target: np.ndarray, parts: tuple, source: np.ndarray) -> None:
    """target[parts] = source; of several writes to an entry the first one stays."""
    places = np.arange(target.size).reshape(target.shape)[wrapped(target, parts)].reshape(-1)
    flat = target.reshape(-1) if target.flags.c_contiguous else target.flat
    flat[places[::-1]] = np.ascontiguousarray(source).reshape(-1)[::-1]


def add_at(target: np.ndarray, parts: tuple, source: np.ndarray) -> None:
    """target[parts] += source; entries named twice add up."""
    np.add.at(target, wrapped(target, parts), source)


def take(array: ndarray, indices, axis=None, out=None) -> ndarray:
    """The entries at `indices` along an axis, or of the flat array."""
    if axis is None:
        array, axis = array.reshape(-1), 0
    if not isinstance(indices, ndarray) and not np.isscalar(indices):
        indices = to_device(np.asarray(indices), np.int64)
    axis = range(array.ndim)[axis]
    if np.isscalar(indices):
        return getitem(array, (*[slice(None)] * axis, int(indices))).copy()
    shape = (*array.shape[:axis], *indices.shape, *array.shape[axis + 1 :])
    if array.size == 0 and prod(shape):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    made = new(shape, array.dtype) if out is None else out
    if made.size:
        target, source, where = made._host, array._host, indices._host
        job = lambda: source.take(where, axis, out=target, mode="wrap")  # noqa: E731
        standin.launch("take", job, made.size)
    return made


ndarray.__getitem__, ndarray.__setitem__, ndarray.take = getitem, setitem, take
