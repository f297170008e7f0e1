"""What a GPU needs, what of it is there, and how to get what is missing.

NVIDIA's driver is a part of the system. The rest comes by pip: CuPy, and beside it CUDA's cuBLAS
(products of matrices), NVRTC with its headers (which compiles kernels) and, for training on several
GPUs, NCCL. Any of them can be missing or too old, and each then fails in a way of its own, often in
the middle of the first step. So `check` tries them before anything is computed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import textwrap
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

INSUFFICIENT_DRIVER, NO_DEVICE = 35, 100  # of cudaError_t
TF32_SINCE = 80  # the compute capability of Ampere


class NoGPU(ValueError):
    """There is no GPU to compute on; the message is a line that says why.

    is_fault: there may well be one, but something that is installed does not work.
    """

    def __init__(self, reason: str, is_fault: bool = False):
        super().__init__(reason)
        self.is_fault = is_fault


def check(index: int) -> ModuleType:
    """CuPy, after the GPU of that index has computed. Raises NoGPU where it cannot."""
    cupy = import_cupy()
    count = device_count(cupy)
    if index >= count:
        raise NoGPU(f"gpu:{index} does not exist: {count} GPU(s) found, from gpu:0")
    _compute(cupy, index)
    return cupy


def import_cupy() -> ModuleType:
    """CuPy. Raises NoGPU where it is not installed or does not load."""
    try:
        import cupy
    except ModuleNotFoundError:
        version = driver_version()
        found = (
            f"the driver is for CUDA {_dotted(version)}" if version else "nor is an NVIDIA driver"
        )
        raise NoGPU(f"CuPy is not installed, {found}: {_command(version)}") from None
    except Exception as error:  # of any kind: it is not for this NumPy, Python or driver
        raise NoGPU(f"CuPy: {_line(error)}", is_fault=True) from error
    return cupy


def device_count(cupy: ModuleType) -> int:
    """How many GPUs there are, at least 1. Raises NoGPU."""
    runtime = cupy.cuda.runtime
    version, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if not version:
        raise NoGPU("there is no NVIDIA driver on this machine")
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status == INSUFFICIENT_DRIVER:
            raise NoGPU(
                f"the driver is for CUDA {_dotted(version)} and too old for CuPy, which is for "
                f"CUDA {_dotted(built)}: pip uninstall cupy-cuda{built // 1000}x, then "
                f"{_command(version)}, or install a newer driver",
                is_fault=True,
            ) from error
        if error.status != NO_DEVICE:
            raise NoGPU(f"the driver does not answer: {_line(error)}", is_fault=True) from error
        count = 0
    if count == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible})"
        raise NoGPU(f"there is a driver, but it shows no GPU{hidden}")
    return count


@functools.cache
def _compute(cupy: ModuleType, index: int) -> None:
    """Let the GPU fill a matrix and multiply it. Raises NoGPU."""
    for library in ("cuBLAS", "NVRTC"):
        try:
            LIBRARIES[library](cupy)
        except Exception as error:  # of any kind: it did not load
            raise NoGPU(missing(library, cupy, error), is_fault=True) from error
    try:
        with cupy.cuda.Device(index):
            one = cupy.ones((1, 1), "f4")  # a kernel, with CUDA's headers
            one = (one @ one).get()
    except Exception as error:  # of any kind, by the driver or a library
        raise NoGPU(f"gpu:{index} does not compute: {_line(error)}", is_fault=True) from error
    if one[0, 0] != 1:
        raise NoGPU(f"gpu:{index} computes 1 x 1 = {one[0, 0]}", is_fault=True)


# --- CUDA's libraries -----------------------------------------------------------------------------


def _cublas(cupy: ModuleType) -> str | None:
    """Its version, which only a GPU tells. Raises where it does not load."""
    cublas = cupy.cuda.cublas
    try:
        return _dotted(cublas.getVersion(cupy.cuda.get_cublas_handle()), 10000, 100)
    except (cublas.CUBLASError, cupy.cuda.runtime.CUDARuntimeError):
        return None


def _nvrtc(cupy: ModuleType) -> str:
    return "{}.{}".format(*cupy.cuda.nvrtc.getVersion())


def _nccl(cupy: ModuleType) -> str:
    with warnings.catch_warnings(action="ignore"):  # CuPy's is said again here, in a line
        from cupy.cuda import nccl
    if not nccl.available:
        raise ImportError("the library is not found")
    return _dotted(nccl.get_version(), 10000, 100)


# Each returns a version, or None where it cannot be known, and raises where it does not load.
LIBRARIES: dict[str, Callable[[ModuleType], str | None]] = {
    "cuBLAS": _cublas,
    "NVRTC": _nvrtc,
    "NCCL": _nccl,
}


def missing(library: str, cupy: ModuleType, error: Exception) -> str:
    """A line that says that a library does not load, and what brings it."""
    command = _command(cupy.cuda.runtime.runtimeGetVersion())
    return f"{library} does not load ({_line(error)}): {command}"


# --- the driver -----------------------------------------------------------------------------------


def driver_version() -> int:
    """The newest CUDA that the driver knows, 13020 for 13.2, and 0 where there is none.

    The driver is asked itself: CuPy may not be there.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    version = ctypes.c_int(0)
    failed = driver.cuDriverGetVersion(ctypes.byref(version))
    return 0 if failed else version.value


def driver_release() -> str | None:
    """The driver's own version, such as 580.65.06; None where its library NVML does not tell."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None
    text = ctypes.create_string_buffer(80)  # as long as NVML says that it may be
    failed = nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, len(text))
    return None if failed else text.value.decode()


# --- all that is there ----------------------------------------------------------------------------


def facts() -> dict[str, Any]:
    """The driver, CuPy, CUDA's libraries, the GPUs, and lines on what is missing: plain data."""
    found: dict[str, Any] = {"driver": driver_release(), "gpus": [], "missing": []}
    try:
        cupy = import_cupy()
    except NoGPU as reason:
        version = driver_version()
        found["cuda_of_driver"] = _dotted(version) if version else None
        return found | {"missing": [str(reason)]}
    runtime = cupy.cuda.runtime
    version, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    found |= {
        "cuda_of_driver": _dotted(version) if version else None,
        "cuda_of_cupy": _dotted(built),
        "cupy": cupy.__version__,
    }
    for library, version_of in LIBRARIES.items():
        try:
            found[library.lower()] = version_of(cupy) or "loads"
        except Exception as error:  # of any kind: it did not load
            found[library.lower()] = None
            found["missing"].append(missing(library, cupy, error))
    try:
        found["gpus"] = [_gpu(cupy, index) for index in range(device_count(cupy))]
        check(0)
    except NoGPU as reason:
        if str(reason) not in found["missing"]:
            found["missing"].append(str(reason))
    return found


def _gpu(cupy: ModuleType, index: int) -> dict[str, Any]:
    """Name, compute capability, memory in bytes and precisions of a GPU."""
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    with cupy.cuda.Device(index):
        free, total = cupy.cuda.runtime.memGetInfo()
    major, minor = properties["major"], properties["minor"]
    return {
        "name": properties["name"].decode(),
        "compute_capability": f"{major}.{minor}",
        "memory": total,
        "free": free,
        "precision": ["fp32", "tf32"] if 10 * major + minor >= TF32_SINCE else ["fp32"],
    }


# --- words ----------------------------------------------------------------------------------------


def _dotted(version: int, major: int = 1000, minor: int = 10) -> str:
    """13020 as 13.2, as CUDA counts; 23203 as 2.32.3 where there is a patch number."""
    numbers = [version // major, version % major // minor]
    return ".".join(map(str, [*numbers, version % minor] if minor > 10 else numbers))


def _command(cuda: int) -> str:
    """What installs CuPy with CUDA's libraries, for a driver's or a CuPy's version of CUDA."""
    return f"pip install 'tinybar[cuda{12 if 0 < cuda < 13000 else 13}]'"


def _line(error: Exception) -> str:
    """An error in a line: CuPy's go on for many."""
    return textwrap.shorten(str(error), 160, placeholder=" ...") or type(error).__name__
