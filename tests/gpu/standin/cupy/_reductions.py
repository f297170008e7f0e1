"""Sums and the like: one kernel each, of any axes."""

from __future__ import annotations

import builtins
import math

import numpy as np

from . import standin
from ._array import device_dtype, ndarray, new
from ._list import unsupported


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


for _function in (sum, mean, var, prod, max, min, any, all):
    setattr(ndarray, _function.__name__, _function)
ndarray.argmax = lambda self, axis=None, out=None, dtype=None, keepdims=False: argmax(
    self, axis, dtype, out, keepdims
)
ndarray.argmin = lambda self, axis=None, out=None, dtype=None, keepdims=False: argmin(
    self, axis, dtype, out, keepdims
)

amax, amin = max, min
