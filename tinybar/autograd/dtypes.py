"""The one rule for the dtypes of a primitive's differentiable inputs.

They are brought to one floating dtype: the widest among the arrays, in the machine's byte order.
Integers, booleans and plain numbers beside it take it. Integers alone stay integers, as in NumPy,
or become float64 for a primitive that is marked `floating`. float16 is for storage: the primitive
computes in float32, where sums do not overflow, and what it gives is rounded. A gradient has the
dtype of its input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.arrays import array_module, xp
from .tensor import Tensor, as_array

# NumPy's scalars are numbers too, else np.int64(2) * x would turn float32 into float64.
NUMBER = (int, float, np.integer, np.floating, np.bool_)
FLOAT16, FLOAT32, FLOAT64 = (np.dtype(name) for name in ("float16", "float32", "float64"))


def float32_arrays(operands: list[Any]) -> list[Any] | None:
    """The arrays, if all are Tensors in float32 on one device, or None, or numbers beside them.

    None if not. So are most operands, and the general rule takes longer.
    """
    arrays, kind = [], None
    for x in operands:
        if isinstance(x, Tensor):
            if x.data.dtype is not FLOAT32 or kind not in (None, type(x.data)):
                return None
            kind = type(x.data)
            x = x.data
        elif x is not None and type(x) not in (float, int):
            return None
        arrays.append(x)
    for k, x in enumerate(arrays):
        if type(x) in (float, int):
            if kind is not np.ndarray:
                return None
            arrays[k] = np.asarray(x, FLOAT32)
    return None if kind is None else arrays


def arrays_of(name: str, operands: list[Any]) -> list[Any]:
    """Arrays, on one device; plain numbers take the floating dtype of the arrays beside them.

    None stays None. Raises TypeError for what is no real number, and for arrays of two devices.
    """
    arrays = [x if x is None or isinstance(x, NUMBER) else as_array(x) for x in operands]
    others = [a for a in arrays if a is not None and not isinstance(a, NUMBER)]
    modules = {array_module(a) for a in others}
    if len(modules) > 1:
        raise TypeError(f"{name} was given arrays of two devices: move them with use_device first")
    if len(others) == len(arrays):
        return arrays
    module, dtype = modules.pop() if modules else xp(), common_dtype(others)
    return [as_array(module.asarray(a, dtype)) if isinstance(a, NUMBER) else a for a in arrays]


def common_dtype(arrays: list[Any]) -> np.dtype | None:
    """The widest floating dtype, in native byte order; None where all are integers."""
    found = {a.dtype for a in arrays if a is not None and a.dtype.kind == "f"}
    if not found:
        return None
    dtype = found.pop() if len(found) == 1 else np.result_type(*found)
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def computed_in(dtype: np.dtype, arrays: list[Any]) -> list[Any]:
    """The arrays in the dtype to compute in for a result of `dtype`; the list itself if they are.

    None stays None.
    """
    dtype = FLOAT32 if dtype == FLOAT16 else dtype
    if all(a is None or a.dtype == dtype for a in arrays):
        return arrays
    return [a if a is None else a.astype(dtype, copy=False) for a in arrays]


def converting(
    pullback: Callable[..., Any], dtype: np.dtype, inputs: list[Any]
) -> Callable[..., Any]:
    """The pullback of what was computed in `dtype`, with gradients in the dtypes of the inputs."""
    dtypes = [a if a is None else a.dtype for a in inputs]

    def convert(gy):
        gradients = pullback(gy.astype(dtype, copy=False))
        return [
            gx if gx is None else gx.astype(own, copy=False)
            for gx, own in zip(gradients, dtypes, strict=False)
        ]

    return convert
