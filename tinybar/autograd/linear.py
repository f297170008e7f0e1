"""The matrix product."""

from __future__ import annotations

from ..runtime import blas
from .primitive import primitive, unbroadcast


@primitive(inputs=2)
def matmul(a, b, *, needs=(True, True)):
    """y = a b, matrix by matrix.   ga = gy b^T;  gb = a^T gy.

    a: (..., M, K), b: (..., K, N), y: (..., M, N); the leading axes broadcast.
    Raises ValueError unless both have at least two axes and the inner extents agree.
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul needs (..., M, K) @ (..., K, N), got {a.shape} @ {b.shape}")
    with blas.one_thread():  # networks have small ones only, after which BLAS's threads would spin
        y = a @ b
    to_a, to_b = a.shape, b.shape
    a, b = (a if needs[1] else None), (b if needs[0] else None)  # keep what will be asked for

    @blas.one_thread()
    def pullback(gy):
        ga = unbroadcast(gy @ b.swapaxes(-1, -2), to_a) if needs[0] else None
        gb = unbroadcast(a.swapaxes(-1, -2) @ gy, to_b) if needs[1] else None
        return ga, gb

    return y, pullback
