"""Kernels in the place of plain functions.

    @accelerated
    def output_transform(m, n, tiles, size):
        ...the reference, for NumPy and CuPy: the mathematics...

For float32 arrays, the function of the same name in one of these is called instead, the first of
them that has it:

    numba/        compiled for the CPU; needs the `fast` extra
    cuda/         compiled for GPUs
    in_place.py   array operations in place, for both

A reader can ignore them: the reference is whole, and stays at hand as `.reference`. In float64,
where gradients are checked, it is what is called. TINYBAR_FAST=off leaves out what is compiled and
keeps in_place.py: results are then those of an installation without Numba, to the last bit.
"""

from __future__ import annotations

import functools
import importlib.util
import os

import numpy as np

from ..runtime.arrays import array_module
from . import in_place

ACCELERATED = {}  # name -> function; a kernel is found by the name of its reference

_is_enabled = os.environ.get("TINYBAR_FAST", "on") != "off"


def is_available() -> bool:
    """Whether compiled kernels are used on the CPU: Numba is installed, TINYBAR_FAST not off."""
    return _is_enabled and _has_numba()


def enable(on: bool) -> None:
    """Switch the compiled kernels on or off, in this process."""
    global _is_enabled
    _is_enabled = on


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def accelerated(reference):
    """Call the kernel of the same name where there is one for these arrays.

    The result has the decorated function as `.reference`; `.uncompiled` calls the kernel in place
    or the reference, whatever the memory layout. Raises ValueError for a name that is taken.
    """
    name = reference.__name__
    if name in ACCELERATED:
        raise ValueError(f"an accelerated function called {name!r} exists already")

    def uncompiled(*arguments):
        kernel = getattr(in_place, name, reference) if _fits(arguments[0]) else reference
        return kernel(*arguments)

    @functools.wraps(reference)
    def dispatch(*arguments):
        kernel = _compiled(name, arguments)
        return kernel(*map(_contiguous, arguments)) if kernel else uncompiled(*arguments)

    dispatch.reference, dispatch.uncompiled = reference, uncompiled
    ACCELERATED[name] = dispatch
    return dispatch


def _compiled(name: str, arguments: tuple):
    """The compiled kernel for these arguments, or None."""
    if array_module(arguments[0]) is np:
        return _numba(name) if is_available() and _fits(arguments[0]) else None
    arrays = filter(_is_array, arguments)  # CUDA's kernels count elements in 32 bits
    is_fit = _is_enabled and all(_fits(a) and a.size < 2**31 for a in arrays)
    return _cuda(name) if is_fit else None


def _fits(array) -> bool:
    return array.dtype == np.float32 and array.size > 0


def _is_array(argument) -> bool:
    return isinstance(argument, np.ndarray) or array_module(argument) is not np


def _contiguous(argument):
    """Arrays one way only: Numba compiles anew for every other layout, CUDA has no other."""
    return array_module(argument).ascontiguousarray(argument) if _is_array(argument) else argument


@functools.cache
def _numba(name: str):
    from . import numba  # slow to import: on first use

    return getattr(numba, name, None)


def _cuda(name: str):
    from . import cuda  # on first use: `import tinybar` is light

    return getattr(cuda, name, None)
