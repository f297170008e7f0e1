"""How a kernel is launched: a grid in one dimension, over as many threads as there are outputs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.arrays import Array

THREADS = 256  # of a block
CHUNK, JOIN = 128, 512  # a sum over rows: of how many at first, then of how many sums
HELD = 32  # rows that a thread holds in registers
ARRAYS, PARAMETERS = 300, 90  # of a launch: those it joins, and those of Adam
SLICES = 64  # of the gates of which the best is kept


def source() -> str:
    """All kernels as one text, compiled together; CuPy keeps the result on disk under this text."""
    names = ("CHUNK", "JOIN", "HELD", "ARRAYS", "PARAMETERS", "SLICES")
    constants = "".join(f"constexpr int {name} = {globals()[name]};\n" for name in names)
    files = sorted(Path(__file__).parent.glob("*.cu"))
    return "\n".join([constants, *(file.read_text("utf-8") for file in files)])


def launch(name: str, threads: int, *arguments: Any) -> None:
    """Run the kernel on `threads` threads; nothing waits for it.

    arguments: contiguous float32 arrays, of which a kernel sees the first number's address, None
    for a null pointer, Python's numbers, which become 32-bit ones, and NumPy's structures, which
    are handed over as they are. The kernel's first argument is `threads`: the last block has some
    too many.
    """
    blocks = -(-threads // THREADS)
    kernel(name)((blocks,), (THREADS,), (np.int32(threads), *map(_argument, arguments)))


def _argument(value):
    if value is None:
        return np.intp(0)
    if isinstance(value, int):
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value


def multiply(
    turn_a: int, turn_b: int, m: int, n: int, k: int, a: Array, b: Array, out: Array
) -> None:
    """out_t = a_t b_t, matrices of columns: (m, n) from (m, k) and (k, n), or those transposed.

    As an array of rows (count, n, m), out lies as it is said here; so do the others.
    """
    gemm, handle = _gemm()
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    gemm(
        handle, turn_a, turn_b, m, n, k,
        one.ctypes.data, address(a), a.shape[2], a[0].size, address(b), b.shape[2], b[0].size,
        zero.ctypes.data, address(out), m, m * n, len(out),
    )  # fmt: skip


def _gemm():
    """cuBLAS's product of stacks of matrices, and the handle of the current device."""
    from cupy.cuda import cublas, get_cublas_handle

    return cublas.sgemmStridedBatched, get_cublas_handle()


def address(array: Any) -> int:
    """Where the first number of a contiguous array is, for a structure of addresses."""
    return array.data.ptr


@functools.cache
def kernel(name: str) -> Any:
    """The kernel of that name, to call with a grid, a block and its arguments."""
    return _module().get_function(name)


@functools.cache
def _module():
    import cupy  # on first use: `import tinybar` is light

    return cupy.RawModule(code=source(), options=("-std=c++17",))
