"""Kernels of CUDA source, compiled for the host by tests/gpu/emulation.py."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path

import numpy as np

from . import standin
from ._array import ndarray
from ._list import unsupported


@functools.cache
def emulation():
    """The module beside the stand-in's folder, wherever the path of imports leads."""
    path = Path(__file__).parents[2] / "emulation.py"
    spec = importlib.util.spec_from_file_location("emulation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class RawModule:
    """`cupy.RawModule`, for the project's kernels; the library is kept beside Python's own."""

    def __init__(self, *, code=None, path=None, options=(), backend="nvrtc", **other):
        unsupported(path=path, **other)
        made = emulation()
        texts = (Path(made.__file__), made.HEADER)
        text = code + "".join(path.read_text("utf-8") for path in texts)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        library = Path(__file__).parent / "__pycache__" / f"kernels-{key}.so"
        if not library.exists():
            library.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=library.parent) as folder:
                os.replace(made.build(Path(folder)), library)
        self._kernels = made.Emulation(library)

    def get_function(self, name: str):
        """The kernel, to call with a grid, a block and arguments."""
        kernel = self._kernels.kernel(name)

        def call(grid, block, args, *, shared_mem=0, stream=None):
            hosts = [_argument(arg) for arg in args]
            size = int(np.prod(grid)) * int(np.prod(block))
            standin.launch(name, lambda: kernel(grid, block, hosts), size)

        return call


def _argument(arg):
    if isinstance(arg, ndarray):
        return arg._host
    if isinstance(arg, (np.generic, int, float, bool)):
        return arg
    if isinstance(arg, np.ndarray):  # a structure, by value
        if arg.size == 1:
            return arg
        raise TypeError(f"Only numpy.ndarrays of size one can be passed by value, not {arg.shape}")
    raise TypeError(f"Unsupported type {type(arg)}")
