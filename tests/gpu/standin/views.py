"""Which chains of views copy, in the CuPy that is imported: its own, or the stand-in.

CuPy needs no GPU to make a view, only some memory. Where it would launch a kernel, to copy, it
raises an error without one. Prints shapes, strides and flags of 2,000 random chains as JSON.
"""

from __future__ import annotations

import json
import random
from math import prod

import cupy
import numpy as np

SHAPES = [(24,), (6, 4), (2, 12), (3, 8), (2, 3, 4), (1, 24), (2, 1, 3, 4), (12, 2), (-1,), (-1, 1)]
HOST = np.arange(24, dtype="f4")


def start():
    """(2, 3, 4) numbers; CuPy's lie on the host."""
    if hasattr(cupy, "standin"):
        return cupy.empty((2, 3, 4), "f4")
    memory = cupy.cuda.memory.UnownedMemory(HOST.ctypes.data, HOST.nbytes, HOST, 0)
    return cupy.ndarray((2, 3, 4), "f4", cupy.cuda.memory.MemoryPointer(memory, 0))


def step(x, rng: random.Random):
    """One view or copy of x, drawn."""
    kind = rng.randrange(9)
    if kind == 0:
        return x.transpose(rng.sample(range(x.ndim), x.ndim))
    if kind == 1:
        shape = rng.choice(SHAPES)
        return x.reshape(shape) if prod(shape) in (x.size, -1) else x
    if kind == 2:
        return x.ravel(rng.choice("CFAK"))
    views = x[..., ::-1], x[::2], x.swapaxes(0, -1), x[None], x.T
    return views[kind - 3] if kind < 8 else cupy.ascontiguousarray(x)


def copies(x, rng: random.Random):
    """(the next array, whether it is a copy)."""
    if hasattr(cupy, "standin"):
        with cupy.standin.counting() as counts:
            x = step(x, rng)
        return x, bool(cupy.standin.total(counts, "launches"))
    try:
        return step(x, rng), False
    except cupy.cuda.runtime.CUDARuntimeError:
        return x, True


def chain(seed: int) -> list:
    """What five steps lead to, until one is a copy."""
    x, rng, found = start(), random.Random(seed), []
    for _ in range(5):
        x, is_copy = copies(x, rng)
        if is_copy:
            return [*found, "copy"]
        found.append([x.shape, x.strides, x.flags.c_contiguous, x.flags.f_contiguous])
    return found


print(json.dumps([chain(seed) for seed in range(2000)]))
