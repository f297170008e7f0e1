"""Functions of arrays: made, arranged, summed and multiplied, in as many launches as CuPy takes."""

from __future__ import annotations

import builtins
import math

import numpy as np

from . import standin
from ._array import copy_into, device_dtype, ndarray, new
from ._indexing import assign, take, to_device  # noqa: F401 - take is one of them
from ._list import unsupported
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


def reshape(a, shape, order="C", *, copy=None):
    return a.reshape(shape, order=order, copy=copy)


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
        raise NotImplementedError("CuPy pads large arrays side by side: the stand-in does not")
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
        raise NotImplementedError("where with one argument waits for the device")
    return UFUNCS["where"](condition.astype("?", copy=False), x, y)


def clip(a, a_min, a_max, out=None):
    return UFUNCS["clip"](a, a_min, a_max, out=out)


# --- reduced --------------------------------------------------------------------------------------


def _reduce(name: str, x, axis, out, keepdims, gives, compute, times: int = 1):
    """One kernel: of any axes. compute(entries, axes) keeps the axes."""
    if not isinstance(x, ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    axes = range(x.ndim) if axis is None else (axis,) if np.isscalar(axis) else axis
    axes = tuple(range(x.ndim)[k] for k in axes)
    if len({*axes}) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    made = new(kept, gives)
    if x.size == 0 and name in ("max", "min", "argmax", "argmin") and made.size:
        raise ValueError("zero-size array to reduction operation which has no identity")
    if made.size:
        target, source = made._host, x._host
        job = lambda: np.copyto(target, compute(source, axes), casting="unsafe")  # noqa: E731
        standin.launch(name, job, x.size, times)
    shape = kept if keepdims else tuple(n for k, n in enumerate(kept) if k not in axes)
    made = ndarray._of(made._host.reshape(shape), None)
    if out is None:
        return made
    if (out.shape, out.dtype) != (made.shape, made.dtype):
        raise ValueError(f"out is {out.dtype} {out.shape}, not {made.dtype} {made.shape}")
    target = out._host
    standin.queue(lambda: np.copyto(target, made._host), made.size)
    return out


def _summed(entries, axes):
    """As by a tree: the parts are added in float64."""
    kind = entries.dtype.kind
    return entries.sum(axes, keepdims=True, dtype=np.float64 if kind == "f" else None)


def sum(a, axis=None, dtype=None, out=None, keepdims=False):
    gives = _sum_dtype(a) if dtype is None else device_dtype(dtype)
    compute = lambda entries, axes: _summed(entries.astype(gives, copy=False), axes)  # noqa: E731
    return _reduce("sum", a, axis, out, keepdims, gives, compute)


def _sum_dtype(a) -> np.dtype:
    return np.empty(0, a.dtype).sum().dtype


def mean(a, axis=None, dtype=None, out=None, keepdims=False):
    """Over the last axes of an array in order it is a sum and a division."""
    unsupported(dtype=dtype)
    gives = a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)
    axes = sorted(range(a.ndim)[k] for k in np.atleast_1d(range(a.ndim) if axis is None else axis))
    is_last = axes == [*range(a.ndim - len(axes), a.ndim)] and a.flags.c_contiguous

    def compute(entries, axes):
        values = math.prod(entries.shape[k] for k in axes)
        return _summed(entries.astype(gives, copy=False), axes) / builtins.max(values, 1)

    return _reduce("mean", a, axis, out, keepdims, gives, compute, 1 + is_last)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    unsupported(dtype=dtype)
    compute = lambda entries, axes: entries.var(axes, keepdims=True, ddof=ddof)  # noqa: E731
    return _reduce("var", a, axis, out, keepdims, a.dtype, compute)


def prod(a, axis=None, dtype=None, out=None, keepdims=False):
    gives = _sum_dtype(a) if dtype is None else device_dtype(dtype)
    compute = lambda entries, axes: entries.prod(axes, keepdims=True)  # noqa: E731
    return _reduce("prod", a, axis, out, keepdims, gives, compute)


def max(a, axis=None, out=None, keepdims=False):
    compute = lambda entries, axes: entries.max(axes, keepdims=True)  # noqa: E731
    return _reduce("max", a, axis, out, keepdims, a.dtype, compute)


def min(a, axis=None, out=None, keepdims=False):
    compute = lambda entries, axes: entries.min(axes, keepdims=True)  # noqa: E731
    return _reduce("min", a, axis, out, keepdims, a.dtype, compute)


def argmax(a, axis=None, dtype=None, out=None, keepdims=False):
    return _arg("argmax", a, axis, dtype, out, keepdims)


def argmin(a, axis=None, dtype=None, out=None, keepdims=False):
    return _arg("argmin", a, axis, dtype, out, keepdims)


def _arg(name: str, a, axis, dtype, out, keepdims):
    unsupported(dtype=dtype)
    found = getattr(np, name)
    compute = lambda entries, axes: found(entries, axis, keepdims=True)  # noqa: E731
    return _reduce(name, a, axis, out, keepdims, np.int64, compute)


def any(a, axis=None, out=None, keepdims=False):
    compute = lambda entries, axes: entries.any(axes, keepdims=True)  # noqa: E731
    return _reduce("any", a, axis, out, keepdims, bool, compute)


def all(a, axis=None, out=None, keepdims=False):
    compute = lambda entries, axes: entries.all(axes, keepdims=True)  # noqa: E731
    return _reduce("all", a, axis, out, keepdims, bool, compute)


# --- multiplied -----------------------------------------------------------------------------------


def matmul(a, b, /, out=None):
    """Two matrices in any one order are read as they lie; stacks of matrices are put in C order."""
    for operand in (a, b):
        if not isinstance(operand, ndarray):
            raise TypeError(f"Unsupported type {type(operand)}")
    if not a.ndim or not b.ndim:
        raise ValueError("Scalar operands are not allowed, use '*' instead")
    gives = np.promote_types(a.dtype, b.dtype)
    is_stack = builtins.max(a.ndim, b.ndim) > 2
    a, b = (_readable(operand, gives, is_stack) for operand in (a, b))
    dummies = (np.broadcast_to(np.empty((), np.int8), operand.shape) for operand in (a, b))
    found = _matmul_shape(*(dummy.shape for dummy in dummies))
    made = new(found, gives) if out is None else out
    if (made.shape, made.dtype) != (found, gives):
        raise ValueError(f"Output array has an invalid size: {made.shape}, not {found}")
    if not made.size:
        return made
    if not a.size:
        made.fill(0)
        return made
    left, right, target = a._host, b._host, made._host
    name, times = "matmul", 1
    if is_stack and a.shape[:-2] != b.shape[:-2]:
        times = 4  # tables of addresses
    elif not is_stack and made.size == 1:
        times = 2  # a product, and a sum
    work = made.size * a.shape[-1]
    standin.launch(name, lambda: np.copyto(target, left @ right), work, times)
    return made


def _readable(operand, dtype, is_stack: bool):
    if is_stack:
        return ascontiguousarray(operand, dtype)
    flags = operand.astype(dtype, copy=False).flags
    operand = operand.astype(dtype, copy=False)
    return operand if flags.forc or operand.ndim < 2 else operand.copy()


def _matmul_shape(a: tuple, b: tuple) -> tuple:
    first, second = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if first[-1] != second[-2]:
        raise ValueError(f"shapes {a} and {b} not aligned")
    rows, columns = first[-2:-1] * (len(a) > 1), second[-1:] * (len(b) > 1)
    return (*np.broadcast_shapes(first[:-2], second[:-2]), *rows, *columns)


def dot(a, b, out=None):
    if a.ndim > 2 or b.ndim > 2:
        raise NotImplementedError("dot of stacks")
    return matmul(a, b, out)


def tensordot(a, b, axes=2):
    """The summed axes are brought to the front, and the rest multiplied as matrices."""
    if np.isscalar(axes):
        axes = [*range(a.ndim - axes, a.ndim)], [*range(axes)]
    summed = [
        [range(x.ndim)[k] for k in np.atleast_1d(of)] for x, of in zip((a, b), axes, strict=True)
    ]
    rest = [[k for k in range(x.ndim) if k not in of] for x, of in zip((a, b), summed, strict=True)]
    k = math.prod(a.shape[axis] for axis in summed[0])
    matrices = [
        x.transpose([*first, *then]).reshape(
            k, -1 if x.size else math.prod(x.shape[i] for i in then)
        )
        for x, first, then in zip((a, b), summed, rest, strict=True)
    ]
    shape = [x.shape[axis] for x, of in zip((a, b), rest, strict=True) for axis in of]
    return matmul(matrices[0].T, matrices[1]).reshape(shape)


# --- as methods -----------------------------------------------------------------------------------


def _method(function):
    return lambda self, *args, **options: function(self, *args, **options)


for _function in (sum, mean, var, prod, max, min, any, all, dot):
    setattr(ndarray, _function.__name__, _method(_function))
ndarray.clip = lambda self, min=None, max=None, out=None: clip(self, min, max, out)
ndarray.argmax = lambda self, axis=None, out=None, dtype=None, keepdims=False: argmax(
    self, axis, dtype, out, keepdims
)
ndarray.argmin = lambda self, axis=None, out=None, dtype=None, keepdims=False: argmin(
    self, axis, dtype, out, keepdims
)
ndarray.__matmul__ = lambda self, other: (
    NotImplemented if not isinstance(other, (ndarray, np.ndarray)) else matmul(self, other)
)
ndarray.scatter_add = lambda self, slices, value: UFUNCS["add"].at(self, slices, value)
amax, amin = max, min
