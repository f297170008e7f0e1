"""Memory of this process: how much it uses, and the settings of its allocator.

By default glibc returns every large array to the system when it is freed, and the next one is
mapped and zeroed page by page. With freed memory kept, a convolution with batch norm and ReLU,
forward and backward, 64x32x32x16 in float32, was 20 to 30 % faster (70 page faults an iteration
instead of 1,430), at the same peak memory. The setting is for all that a process does. So only the
command line makes it; a program that imports tinybar may, by `tinybar.keep_freed_memory()`.

    TINYBAR_MALLOC=default    leave the allocator alone
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from . import arrays

_PROC = Path("/proc")


def resident() -> int | None:
    """Resident bytes now."""
    return _kilobytes("self/status", "VmRSS")


def peak() -> int | None:
    """The most resident bytes since the start, or since `restart_peak`."""
    found = _kilobytes(
        "self/status", "VmHWM"
    )  # ru_maxrss may be that of the process that started this one
    if found is not None:
        return found
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def restart_peak() -> None:
    """Let `peak` begin anew; only Linux can."""
    try:
        (_PROC / "self/clear_refs").write_text("5")
    except OSError:
        return  # the peak since the start is then an upper bound


def device_peak() -> int | None:
    """The most bytes that arrays took on the GPU; None on the CPU."""
    if arrays.device() == "cpu":
        return None
    return arrays.xp().get_default_memory_pool().total_bytes()  # which gives nothing back


def in_use() -> int | None:
    """Bytes that are taken now: on the GPU, or of a process that computes on the CPU."""
    return resident() if arrays.device() == "cpu" else device_peak()


def peaks(before: dict[str, Any]) -> dict[str, int | None]:
    """peak_bytes and peak_device_bytes of this process, or those of `before` where higher."""
    now = {"peak_bytes": peak(), "peak_device_bytes": device_peak()}
    return {name: max(now[name] or 0, before.get(name) or 0) or None for name in now}


def of_machine() -> dict[str, int | None]:
    """Bytes of memory in all, and that no process needs now."""
    fields = {"total": "MemTotal", "available": "MemAvailable"}
    return {name: _kilobytes("meminfo", field) for name, field in fields.items()}


def _kilobytes(file: str, field: str) -> int | None:
    """The field of a file in /proc, as bytes; None where the system has no such file."""
    try:
        text = (_PROC / file).read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else None


# --- the allocator --------------------------------------------------------------------------------

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # the names of glibc's malloc.h
KEPT = 2**31 - 1  # bytes of free memory kept by the process: the largest value there is
LARGEST = (1 << 30, 1 << 25)  # bytes of the largest array from kept memory; glibc < 2.35: 32 MiB

_allocator = "allocator left alone: nothing was asked for"


def keep_freed_memory() -> None:
    """Let this process keep freed memory for the next arrays, if its C library is glibc.

    Training is faster then, and memory that is freed, also by other libraries, is not given back to
    the system. It holds until the process ends. `tinybar.runtime.memory.allocator()` says what
    came of it.
    """
    global _allocator
    _allocator = _set_allocator(os.environ)


def allocator() -> str:
    """A sentence about what `keep_freed_memory` did."""
    return _allocator


def _set_allocator(environ) -> str:
    if environ.get("TINYBAR_MALLOC") == "default":
        return "allocator left alone: TINYBAR_MALLOC=default"
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        if name in environ:
            return f"allocator left alone: {name} is set"
    if sys.platform != "linux":
        return f"allocator left alone: nothing is known to be better on {sys.platform}"
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return "allocator left alone: the C library is not glibc"
    for largest in LARGEST:
        if libc.mallopt(M_MMAP_THRESHOLD, largest) and libc.mallopt(M_TRIM_THRESHOLD, KEPT):
            return f"freed arrays of up to {largest >> 20} MiB are kept for the next ones"
    return "allocator left alone: glibc refused the settings"
