"""Checks of arguments."""

from __future__ import annotations

import numpy as np

from ..runtime.arrays import array_module


def check_int(name: str, value: int, least: int) -> None:
    """Raises TypeError unless `value` is an integer, ValueError if it is below `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_array(name: str, array: np.ndarray, dtype: type, axes: str) -> None:
    """Raises TypeError for another dtype, ValueError for another number of axes.

    array: on the host or on the device. axes: one letter for each axis, as in "NHWC".
    """
    expected = f"{name} must be {np.dtype(dtype)} of shape ({', '.join(axes)})"
    if not isinstance(array, array_module(array).ndarray):
        raise TypeError(f"{expected}, got a {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{expected}, got {array.dtype}")
    if array.ndim != len(axes):
        raise ValueError(f"{expected}, got shape {array.shape}")
