"""Kernels in the place of plain functions.

    @accelerated
    def output_transform(m, n, tiles, size):
        ...the reference, for NumPy and CuPy: the mathematics...

For float32 arrays in the machine's byte order, the function of the same name in one of these is
called instead, the first of them that has it:

    numba/        compiled for the CPU; needs the `fast` extra
    cuda/         compiled for GPUs
    in_place.py   array operations in place, for both

A reader can ignore them: the reference is whole, and stays at hand as `.reference`. In float64,
where gradients are checked, it is what is called. TINYBAR_FAST=off leaves out what is compiled and
keeps in_place.py: results are then those of an installation without Numba, to the last bit.

NaN and infinity go through a kernel as they go through its reference (tests/kernels/test_edges.py).
Two things differ: rounding, since sums are added in another order, so that they may also overflow
elsewhere; and Winograd's references, where infinity meets the zeros of a matrix and becomes NaN in
the whole tile, while a kernel reads what the formula reads.
"""

from __future__ import annotations

import functools
import importlib.util
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.arrays import array_module
from ..runtime.blas import PerformanceWarning
from ..runtime.environment import is_on
from . import in_place

ACCELERATED: dict[str, Any] = {}  # name -> function; a kernel is found by the name of its reference
FLOAT32, INDEX = np.dtype(np.float32), np.dtype(np.intp)
NO_ARRAYS = (int, float, tuple, type(None))

_is_enabled = is_on("TINYBAR_FAST", default=True)


def is_available() -> bool:
    """Whether compiled kernels are used on the CPU: Numba works, TINYBAR_FAST is not off."""
    return _is_enabled and _numba_kernels() is not None


def enable(on: bool) -> None:
    """Switch the compiled kernels on or off, in this process."""
    global _is_enabled
    _is_enabled = on


def accelerated(
    reference: Callable[..., Any] | None = None, *, changes: tuple[int, ...] = ()
) -> Any:
    """Call the kernel of the same name where there is one for these arrays.

    changes: which arguments are changed in place. An argument may be a list of arrays, if the first
    one is.
    The result has the decorated function as `.reference`; `.uncompiled` calls the kernel in place
    or the reference, whatever the memory layout. A compiled kernel is given copies of arrays that
    are not contiguous or may not be written; where such an array is to be changed, the function is
    called uncompiled. Raises ValueError for a name that is taken.
    """
    if reference is None:
        return functools.partial(accelerated, changes=changes)
    name = reference.__name__
    if name in ACCELERATED:
        raise ValueError(f"an accelerated function called {name!r} exists already")

    def uncompiled(*arguments):
        kernel = getattr(in_place, name, reference) if _fits(arguments) else reference
        return kernel(*arguments)

    @functools.wraps(reference)
    def dispatch(*arguments: Any) -> Any:
        kernel = _compiled(name, arguments)
        if kernel is None:
            return uncompiled(*arguments)
        simple = [_simple(argument) for argument in arguments]
        if changes and any(simple[i] is not arguments[i] for i in changes):
            return uncompiled(*arguments)
        return kernel(*simple)

    vars(dispatch).update(reference=reference, uncompiled=uncompiled, changes=changes)
    ACCELERATED[name] = dispatch
    return dispatch


def _compiled(name: str, arguments: tuple[Any, ...]):
    """The compiled kernel for these arguments, or None."""
    if not _is_enabled or not _fits(arguments):
        return None
    first = _flat(arguments)[0]
    if type(first) is np.ndarray or array_module(first) is np:
        return _numba(name)
    arrays = filter(_is_array, _flat(arguments))  # CUDA's kernels count elements in 32 bits
    return _cuda(name) if all(a.size < 2**31 for a in arrays) else None


def _fits(arguments: tuple[Any, ...]) -> bool:
    """Whether the first array is float32 and has entries, and all others are float32 or indices."""
    arguments = _flat(arguments)
    if arguments[0].dtype != FLOAT32 or arguments[0].size == 0:
        return False
    for argument in arguments:  # no generator: hundreds of calls a step
        if _is_array(argument) and argument.dtype != FLOAT32 and argument.dtype != INDEX:
            return False
    return True


def _flat(arguments):
    """The arguments, with the arrays of a list in its place."""
    if type(arguments[0]) is not list:
        return arguments
    return [one for a in arguments for one in (a if type(a) is list else (a,))]


def _is_array(argument) -> bool:
    if type(argument) in NO_ARRAYS:
        return False
    return isinstance(argument, np.ndarray) or array_module(argument) is not np


def _simple(argument):
    """Arrays one way only: Numba compiles anew for every other layout, CUDA has no other."""
    if type(argument) is np.ndarray:
        return argument if argument.flags.carray else np.array(argument, order="C")
    if type(argument) is list:
        simple = [_simple(one) for one in argument]
        return argument if all(map(operator.is_, simple, argument)) else simple
    if not _is_array(argument) or argument.flags.c_contiguous:
        return argument
    return array_module(argument).ascontiguousarray(argument)


@functools.cache
def _numba(name: str):
    return getattr(_numba_kernels(), name, None)


@functools.cache
def _numba_kernels():
    """The compiled kernels; None where Numba is not installed, or not for this Python and NumPy."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        from . import numba  # slow to import: on first use
    except Exception as error:  # of any kind: its compiler is a library of its own
        reason = " ".join(str(error).split())
        warnings.warn(f"no compiled kernels: Numba: {reason}", PerformanceWarning, stacklevel=2)
        return None
    return numba


def _cuda(name: str):
    from . import cuda  # on first use: `import tinybar` is light

    return getattr(cuda, name, None)
