"""A strict stand-in for CuPy, over NumPy.

    PYTHONPATH=tests/gpu/standin tinybar audit --device gpu

It has names, keywords and dtypes of CuPy's alone (signatures.json), refuses what mixes host and
device, and counts launches, allocations, copies and reads (`standin.py`). What the project's CUDA
kernels compute they compute here, compiled for the host. What it does not know, though CuPy has it,
raises NotImplementedError.
"""

import numpy as np

from . import _core, _products, _reductions, _routines, cuda, lib, standin
from ._array import ndarray
from ._list import LIST, absent
from ._raw import RawModule
from ._ufunc import UFUNCS, ufunc
from .cuda import get_default_memory_pool, get_default_pinned_memory_pool

__version__ = LIST["version"]
newaxis, inf, nan, pi = None, np.inf, np.nan, np.pi


def __getattr__(name: str):
    has = name in LIST["names"] or name in LIST["functions"] or name in LIST["ufuncs"]
    rooms = (*map(vars, (_routines, _reductions, _products)), UFUNCS)
    found = next((room[name] for room in rooms if name in room), None)
    if found is None and isinstance(getattr(np, name, None), type):
        found = getattr(np, name)  # a dtype
    if found is None or not has:
        raise absent("cupy", name, has)
    globals()[name] = found
    return found
