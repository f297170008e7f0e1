"""The CUDA kernels on a CPU: their source, through the C++ compiler, for NumPy arrays."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tinybar.kernels.cuda import launcher

HEADER = Path(__file__).with_name("host.h")
KERNELS = re.findall(r'^extern "C" __global__ void (\w+)\(', launcher.source(), re.MULTILINE)
COMPILER = shutil.which("g++") or shutil.which("clang++")
FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC")
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")  # of pragmas, only `unroll`


def build(folder: Path, *flags: str) -> Path:
    """All kernels in one shared library."""
    code = f'#include "{HEADER}"\n{launcher.source()}\n'
    code += "".join(f"EXPORT({name})\n" for name in KERNELS)
    (folder / "kernels.cpp").write_text(code, "utf-8")
    library = folder / "kernels.so"
    command = [COMPILER, *FLAGS, *STRICT, *flags, "-o", library, folder / "kernels.cpp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


class Emulation:
    """Stands where CuPy's kernels stand: `kernel(name)(grid, block, arguments)`.

    is_backward: run the threads from the last to the first. launched: the names of what ran.
    """

    def __init__(self, library: Path):
        self.library = ctypes.CDLL(str(library))
        self.is_backward = False
        self.launched: list[str] = []

    def kernel(self, name: str):
        letters = getattr(self.library, f"{name}_letters")
        letters.restype = ctypes.c_char_p
        expected = letters().decode()

        def call(grid, block, arguments):
            self.launched.append(name)
            (blocks,), (threads,) = grid, block
            values = [_value(argument) for argument in arguments]
            assert "".join(letter for letter, _ in values) == expected, name
            addresses = (ctypes.c_void_p * len(values))(
                *(ctypes.addressof(value) for _, value in values)
            )
            run = getattr(self.library, f"{name}_launch")
            run(blocks, threads, ctypes.c_bool(self.is_backward), addresses)

        return call


def gemm(handle, turn_a, turn_b, m, n, k, one, *operands):
    """cuBLAS's sgemmStridedBatched, of matrices that lie column by column."""
    products(turn_a, turn_b, m, n, k, one, *operands)()


def products(turn_a, turn_b, m, n, k, one, *operands):
    """The job of `gemm`. The two numbers of the host are read now, the matrices when it is done."""
    *others, zero, c, ldc, step_c, count = operands
    numbers = ctypes.POINTER(ctypes.c_float)
    assert (ctypes.cast(one, numbers)[0], ctypes.cast(zero, numbers)[0]) == (1, 0)
    return lambda: _multiply(turn_a, turn_b, m, n, k, *others, c, ldc, step_c, count)


def _multiply(turn_a, turn_b, m, n, k, a, lda, step_a, b, ldb, step_b, c, ldc, step_c, count):
    numbers = ctypes.POINTER(ctypes.c_float)

    def stack(at, rows, columns, step, leading):
        size = step * (count - 1) + leading * (columns - 1) + rows
        flat = np.ctypeslib.as_array(ctypes.cast(at, numbers), (size,))
        strides = (4 * step, 4, 4 * leading)
        assert rows <= leading
        return np.lib.stride_tricks.as_strided(flat, (count, rows, columns), strides)

    left = stack(a, *((k, m) if turn_a else (m, k)), step_a, lda)
    right = stack(b, *((n, k) if turn_b else (k, n)), step_b, ldb)
    left = left.swapaxes(1, 2) if turn_a else left
    right = right.swapaxes(1, 2) if turn_b else right
    stack(c, m, n, step_c, ldc)[...] = left @ right


def address(array) -> int:
    """As launcher.address, of NumPy's arrays."""
    return array.ctypes.data


def _value(argument):
    """(letter, value as C has it). Only what a kernel can be given passes."""
    if isinstance(argument, np.ndarray) and argument.dtype.names:
        assert argument.shape == ()
        return "s", (ctypes.c_char * argument.nbytes).from_buffer_copy(argument)
    if isinstance(argument, np.ndarray):
        assert argument.dtype == np.float32
        assert argument.flags.c_contiguous
        return "p", ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, np.intp):
        return "p", ctypes.c_void_p(int(argument))
    if isinstance(argument, np.int32):
        return "i", ctypes.c_int(argument)
    assert isinstance(argument, np.float32), type(argument)
    return "f", ctypes.c_float(argument)
