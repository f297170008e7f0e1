"""The matrix product."""

from __future__ import annotations

from ..runtime import blas
from .primitive import primitive
from .tensor import Operand


@primitive(inputs=2)
def matmul(a: Operand, b: Operand):
    """y = a b, matrix by matrix.   ga = gy b^T;  gb = a^T gy.

    a: (..., M, K), b: (..., K, N), y: (..., M, N); the leading axes broadcast.
    Raises ValueError unless both have at least two axes and the inner extents agree.
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul needs (..., M, K) @ (..., K, N), got {a.shape} @ {b.shape}")
    return _product(a, b), (
        lambda gy: _product(gy, b.swapaxes(-1, -2)),
        lambda gy: _product(a.swapaxes(-1, -2), gy),
    )


@blas.one_thread()  # networks have small products only, after which BLAS's threads would spin
def _product(a, b):
    return a @ b
