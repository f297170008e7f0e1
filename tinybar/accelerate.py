"""Compiled forms in the place of plain ones, where Numba is installed (the `fast` extra).

    @accelerated
    def output_adjoint(gy, tiles):
        ...the plain form, for NumPy and CuPy: the mathematics...

On the CPU and in float32, the function of the same name in `compiled/` is called instead. A
reader can ignore this file and that one: the plain form is whole, and stays at hand as
`.reference`. TINYBAR_FAST=off leaves everything plain.
"""

from __future__ import annotations

import functools
import importlib.util
import os

import numpy as np

_is_enabled = os.environ.get("TINYBAR_FAST", "on") != "off"


def is_available() -> bool:
    """Whether compiled forms are used: Numba is installed and they were not switched off."""
    return _is_enabled and _has_numba()


def enable(on: bool) -> None:
    """Switch the compiled forms on or off, in this process."""
    global _is_enabled
    _is_enabled = on


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def accelerated(reference):
    """Call the compiled form of the same name for float32 arrays on the CPU, else `reference`."""

    @functools.wraps(reference)
    def dispatch(*arguments):
        if not is_available() or not _fits(arguments[0]):
            return reference(*arguments)
        return _compiled(reference.__name__)(*map(_contiguous, arguments))

    dispatch.reference = reference
    return dispatch


def _fits(array) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.float32 and array.size > 0


def _contiguous(argument):
    """Arrays one way only: Numba compiles a form anew for every other layout."""
    return np.ascontiguousarray(argument) if isinstance(argument, np.ndarray) else argument


@functools.cache
def _compiled(name: str):
    from . import compiled  # Numba is slow to import: on first use

    return getattr(compiled, name)
