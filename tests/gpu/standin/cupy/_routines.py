"""Arrays made and arranged, in as many launches as CuPy takes."""

from __future__ import annotations

import builtins

import numpy as np

from . import standin
from ._array import copy_into, device_dtype, ndarray, new
from ._indexing import assign, take, to_device  # noqa: F401 - take is one of them
from ._list import unknown, unsupported
from ._ufunc import UFUNCS

# --- made -----------------------------------------------------------------------------------------


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    unsupported(subok=subok or None, ndmin=ndmin or None)
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, order or "K", copy=bool(copy))
    if isinstance(obj, (list, tuple)) and builtins.any(isinstance(entry, ndarray) for entry in obj):
        return stack(obj).astype(obj[0].dtype if dtype is None else dtype, copy=False)
    host = np.array(obj, dtype, order=order or "K")
    return to_device(host, device_dtype(host.dtype))


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    unsupported(copy=copy)
    return array(a, dtype, False, order, blocking=blocking)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype, order=order)


def zeros(shape, dtype=float, order="C"):
    made = empty(shape, dtype, order)
    made.fill(0)
    return made


def ones(shape, dtype=float, order="C"):
    return full(shape, 1, dtype, order)


def full(shape, fill_value, dtype=None, order="C"):
    if dtype is None:
        dtype = getattr(fill_value, "dtype", np.asarray(fill_value).dtype)
    made = empty(shape, dtype, order)
    copyto(made, fill_value, "unsafe")
    return made


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    unsupported(subok=subok)
    shape = prototype.shape if shape is None else shape
    return empty(shape, prototype.dtype if dtype is None else dtype)


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    made = empty_like(a, dtype, order, subok, shape)
    made.fill(0)
    return made


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    made = empty_like(a, dtype, order, subok, shape)
    made.fill(1)
    return made


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    made = empty_like(a, dtype, order, subok, shape)
    made.fill(fill_value)
    return made


def arange(start, stop=None, step=1, dtype=None):
    values = np.arange(*((start,) if stop is None else (start, stop, step)), dtype=dtype)
    made = new(values.shape, device_dtype(values.dtype))
    if made.size:
        target = made._host
        standin.launch("arange", lambda: np.copyto(target, values), target.size)
    return made


# --- arranged -------------------------------------------------------------------------------------


def ascontiguousarray(a, dtype=None):
    a = asarray(a)
    dtype = a.dtype if dtype is None else device_dtype(dtype)
    if dtype == a.dtype and a.flags.c_contiguous:
        return a if a.ndim else a.ravel()  # one entry is an axis of one
    made = new(a.shape or (1,), dtype)
    copy_into(made._host, a._host)
    return made


def shape(a):
    return a.shape if isinstance(a, ndarray) else np.shape(a)


def ndim(a):
    return len(shape(a))


def size(a, axis=None):
    return a.size if axis is None else a.shape[axis]


def reshape(a, newshape, order="C", *, copy=None):
    return a.reshape(newshape, order=order, copy=copy)


def transpose(a, axes=None):
    return a.transpose(*([] if axes is None else [axes]))


def broadcast_to(array, shape):
    return array._view(np.broadcast_to(array._host, shape))


def expand_dims(a, axis):
    return a._view(np.expand_dims(a._host, axis))


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [entry.ravel() for entry in tup] if axis is None else list(tup)
    if not builtins.all(isinstance(entry, ndarray) for entry in arrays):
        raise TypeError("Only cupy arrays can be concatenated")
    axis = range(arrays[0].ndim)[axis or 0]
    hosts = [entry._host for entry in arrays]
    lengths = [host.shape[axis] for host in hosts]
    rest = {(*host.shape[:axis], *host.shape[axis + 1 :]) for host in hosts}
    if len(rest) != 1:
        raise ValueError("All arrays must have same shape except the axis to concatenate")
    found = (*hosts[0].shape[:axis], builtins.sum(lengths), *hosts[0].shape[axis + 1 :])
    made = new(found, dtype or np.result_type(*hosts)) if out is None else out
    targets = np.split(made._host, np.cumsum(lengths)[:-1], axis)
    small = 8 * made.nbytes < (1 << 24) * len(hosts)
    if len(hosts) > 8 and len({host.dtype for host in hosts}) == 1 and small:
        same = len({*lengths}) == 1 and builtins.all(host.flags.c_contiguous for host in hosts)
        standin.wait("a table of addresses from pageable memory")
        standin.count("copies", "addresses", 1 if same else 3)

        def job():
            for target, host in zip(targets, hosts, strict=True):
                np.copyto(target, host)

        standin.launch("concatenate", job, made.size)
    else:
        for target, host in zip(targets, hosts, strict=True):
            copy_into(target, host)
    return made


def stack(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return concatenate([expand_dims(a, axis) for a in tup], axis, out, dtype=dtype)


def split(ary, indices_or_sections, axis=0):
    if isinstance(indices_or_sections, ndarray):
        raise TypeError("a sequence on the device memory is not allowed")
    return [ary._view(host) for host in np.split(ary._host, indices_or_sections, axis)]


def pad(array, pad_width, mode="constant", **kwargs):
    unsupported(mode=None if mode == "constant" else mode, **kwargs)
    if array.ndim > 1 and array.size >= 4e6:
        raise unknown("pad of a large array, which CuPy does in other launches")
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    sides = [(n, *width) for n, width in zip(array.shape, widths, strict=True)]
    made = zeros([before + n + after for n, before, after in sides], array.dtype)
    made[tuple(slice(before, before + n) for n, before, _ in sides)] = array
    return made


def copyto(dst, src, casting="same_kind", where=None):
    if isinstance(src, np.ndarray):
        if src.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
        src = src.reshape(())[()]
    if not isinstance(src, ndarray):
        np.copyto(np.empty((), dst.dtype), src, casting=casting)
    elif not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast {src.dtype} to {dst.dtype} in {casting} casting mode")
    target, source = dst._host, src._host if isinstance(src, ndarray) else np.asarray(src)
    if where is None and isinstance(src, ndarray):
        assign(dst, src)
    elif target.size:
        mask = True if where is None else where._host
        job = lambda: np.copyto(target, source, casting="unsafe", where=mask)  # noqa: E731
        standin.launch("copy", job, target.size)


# --- chosen ---------------------------------------------------------------------------------------


def where(condition, x=None, y=None):
    if x is None or y is None:
        raise unknown("where with one argument, which waits for the device")
    return UFUNCS["where"](condition.astype("?", copy=False), x, y)


def clip(a, a_min, a_max, out=None):
    return UFUNCS["clip"](a, a_min, a_max, out=out)


ndarray.clip = lambda self, min=None, max=None, out=None: clip(self, min, max, out)
ndarray.scatter_add = lambda self, slices, value: UFUNCS["add"].at(self, slices, value)
