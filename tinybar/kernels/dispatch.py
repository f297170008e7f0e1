"""Compiled forms in the place of plain ones: Numba's on the CPU (the `fast` extra), CUDA's on GPUs.

    @accelerated
    def output_adjoint(gy, tiles):
        ...the plain form, for NumPy and CuPy: the mathematics...

In float32, the function of the same name in `compiled/` (NumPy) or in `gpu/` (CuPy) is called
instead. A reader can ignore this file and those: the plain form is whole, and stays at hand as
`.reference`. TINYBAR_FAST=off leaves everything plain.
"""

from __future__ import annotations

import functools
import importlib.util
import os

import numpy as np

from ..runtime.arrays import array_module

_is_enabled = os.environ.get("TINYBAR_FAST", "on") != "off"


def is_available() -> bool:
    """Whether they are used on the CPU: Numba is installed and they were not switched off."""
    return _is_enabled and _has_numba()


def enable(on: bool) -> None:
    """Switch the compiled forms on or off, in this process."""
    global _is_enabled
    _is_enabled = on


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def accelerated(reference):
    """Call the compiled form of the same name where there is one for these arrays."""

    @functools.wraps(reference)
    def dispatch(*arguments):
        form = _form(reference.__name__, arguments)
        return reference(*arguments) if form is None else form(*map(_contiguous, arguments))

    dispatch.reference = reference
    return dispatch


def _form(name: str, arguments: tuple):
    """The compiled form for these arguments, or None."""
    if array_module(arguments[0]) is np:
        return _compiled(name) if is_available() and _fits(arguments[0]) else None
    arrays = filter(_is_array, arguments)  # CUDA's forms count elements in 32 bits
    is_fit = _is_enabled and all(_fits(array) and array.size < 2**31 for array in arrays)
    return _cuda(name) if is_fit else None


def _fits(array) -> bool:
    return array.dtype == np.float32 and array.size > 0


def _is_array(argument) -> bool:
    return isinstance(argument, np.ndarray) or array_module(argument) is not np


def _contiguous(argument):
    """Arrays one way only: Numba compiles a form anew for every other layout, CUDA has no other."""
    return array_module(argument).ascontiguousarray(argument) if _is_array(argument) else argument


@functools.cache
def _compiled(name: str):
    from . import numba  # slow to import: on first use

    return getattr(numba, name)


def _cuda(name: str):
    from . import cuda  # on first use: `import tinybar` is light

    return getattr(cuda, name, None)
