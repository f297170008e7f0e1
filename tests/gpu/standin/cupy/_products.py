"""Products of matrices, as cuBLAS is asked for them."""

from __future__ import annotations

import math

import numpy as np

from . import standin
from ._array import ndarray, new
from ._list import unknown
from ._routines import ascontiguousarray


def matmul(a, b, /, out=None):
    """Two matrices in any one order are read as they lie; stacks of matrices are put in C order."""
    for operand in (a, b):
        if not isinstance(operand, ndarray):
            raise TypeError(f"Unsupported type {type(operand)}")
    if not a.ndim or not b.ndim:
        raise ValueError("Scalar operands are not allowed, use '*' instead")
    gives = np.promote_types(a.dtype, b.dtype)
    is_stack = max(a.ndim, b.ndim) > 2
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
    operand = operand.astype(dtype, copy=False)
    return operand if operand.flags.forc or operand.ndim < 2 else operand.copy()


def _matmul_shape(a: tuple, b: tuple) -> tuple:
    first, second = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if first[-1] != second[-2]:
        raise ValueError(f"shapes {a} and {b} not aligned")
    rows, columns = first[-2:-1] * (len(a) > 1), second[-1:] * (len(b) > 1)
    return (*np.broadcast_shapes(first[:-2], second[:-2]), *rows, *columns)


def dot(a, b, out=None):
    if a.ndim > 2 or b.ndim > 2:
        raise unknown("dot of more than two axes")
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


ndarray.dot = dot
ndarray.__matmul__ = lambda self, other: (
    NotImplemented if not isinstance(other, (ndarray, np.ndarray)) else matmul(self, other)
)
