"""The array module and the device that it computes on.

Every array operation of tinybar is written once, against `xp`: NumPy on the CPU, CuPy on a GPU.
A function of arrays asks `array_module(x)`; one that makes arrays from nothing asks `xp()`, the
module of the current device.

The device, its precision, the random streams (`random.py`) and the choice of convolutions
(`autograd/conv`) are the only hidden state of what is computed. All are set explicitly:
`use_device`, `use_precision`, `seed`, `use_algorithm`.
"""

from __future__ import annotations

import re
import warnings
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from . import blas, gpu

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # or CuPy's, which has the same methods

BITS, ONE = {size: np.dtype(f"i{size}") for size in (1, 2, 4, 8)}, np.int8(1)

_device = "cpu"
KEPT_SHARE = 0.25  # of a GPU's free memory for a data set; the rest is for training


def _cupy() -> ModuleType:
    """CuPy, where a device or an array needs it: `import tinybar` is light."""
    import cupy

    return cupy


def gpu_available() -> bool:
    """True where the first GPU computes.

    PerformanceWarning where something that is installed keeps it from computing.
    """
    try:
        gpu.check(0)
    except gpu.NoGPU as reason:
        if reason.is_fault:
            warnings.warn(f"no GPU is used: {reason}", blas.PerformanceWarning, stacklevel=2)
        return False
    return True


def use_device(name: str) -> str:
    """Make `name` the device of all arrays created from now on, and return the resolved name.

    name: "cpu", "gpu", "gpu:1" (the second GPU), or "auto": the GPU where one computes.
    Raises ValueError for an unknown name, and where there is no such GPU, with the reason.
    """
    global _device
    if name == "auto":
        name = "gpu" if gpu_available() else "cpu"
    if not isinstance(name, str) or not re.fullmatch(r"cpu|gpu(:[0-9]+)?", name):
        raise ValueError(f"unknown device {name!r}: use cpu, gpu, gpu:N or auto")
    if name != "cpu":
        index = int(name[4:] or 0)
        try:
            gpu.check(index).cuda.Device(index).use()
        except gpu.NoGPU as reason:
            raise ValueError(f"device {name!r}: {reason}; or use --device cpu") from reason
    _device = name
    return name


def device() -> str:
    """Name of the current device: "cpu", "gpu" or "gpu:N"."""
    return _device


def device_name() -> str:
    """The product name of the current device, for tables and result files."""
    if _device == "cpu":
        return blas.processor_name()
    cupy = _cupy()
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return properties["name"].decode()


PRECISIONS = ("fp32", "tf32")


def use_precision(name: str) -> str:
    """Set how the current GPU multiplies float32 matrices; returns the precision in effect.

    "fp32": in full. "tf32": on tensor cores, with factors rounded to 10 bits of mantissa instead
    of 23, and products added in float32. Sums, elementwise operations and float64 do not change.
    The CPU, and GPUs older than Ampere, always compute in fp32.
    To be called after `use_device`, in the thread that computes. ValueError for another name.
    """
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}: use one of {', '.join(PRECISIONS)}")
    if _device == "cpu":
        return "fp32"
    cupy = _cupy()
    from cupy._core import _routines_linalg as linalg

    if int(cupy.cuda.Device().compute_capability) < gpu.TF32_SINCE:
        name = "fp32"
    # CuPy asks cuBLAS in two ways. A product of two matrices follows CuPy's compute type, which the
    # variable CUPY_TF32 also sets; one of two stacks of matrices follows the handle's math mode.
    compute_type, math_mode = {
        "fp32": (linalg.COMPUTE_TYPE_DEFAULT, 0),  # CUBLAS_DEFAULT_MATH
        "tf32": (linalg.COMPUTE_TYPE_TF32, 3),  # CUBLAS_TF32_TENSOR_OP_MATH
    }[name]
    linalg.set_compute_type(np.float32, compute_type)
    cupy.cuda.cublas.setMathMode(cupy.cuda.get_cublas_handle(), math_mode)
    return name


def xp() -> ModuleType:
    """The array module of the current device: numpy, or cupy."""
    return np if _device == "cpu" else _cupy()


def array_module(*arrays: object) -> ModuleType:
    """The module that the given arrays belong to: cupy if any is a CuPy array, else numpy."""
    for array in arrays:
        if type(array).__module__.partition(".")[0] == "cupy":
            return _cupy()
    return np


def zero_where(mask: Array, values: Array) -> Array:
    """values, but 0 where the booleans `mask` hold: also where NaN or infinity stood.

    To multiply by 0 keeps those, and NumPy's `where` takes ten times as long as these bits.
    """
    xp = array_module(values)
    if xp is not np or values.itemsize not in BITS:
        return xp.where(mask, 0, values)
    all_or_none = mask.view(np.int8) - ONE
    return (values.view(BITS[values.itemsize]) & all_or_none).view(values.dtype)


def to_numpy(array: Any) -> np.ndarray:
    """The array on the host; a NumPy array is returned as it is."""
    return array.get() if array_module(array) is not np else np.asarray(array)


def to_device(array: Any) -> Array:
    """The array on the current device; already there, it is returned as it is."""
    if _device == "cpu":
        return to_numpy(array)
    return xp().asarray(array)


def keep_on_device(array: np.ndarray) -> Array:
    """The array on the current GPU if it fits there, else as it is.

    It fits if it takes no more than `KEPT_SHARE` of the free memory. Minibatches are then gathered
    from it without a copy from the host each time.
    """
    if _device == "cpu":
        return array
    cupy = _cupy()
    free = cupy.cuda.Device().mem_info[0] + cupy.get_default_memory_pool().free_bytes()
    return to_device(array) if array.nbytes <= KEPT_SHARE * free else array


def synchronize() -> None:
    """Wait until the device has finished its work; timings need it. Nothing on the CPU."""
    if _device != "cpu":
        _cupy().cuda.get_current_stream().synchronize()
