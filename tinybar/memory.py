"""Memory of this process, now and at its peak, in bytes; None where it cannot be told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from . import backend

_PROC = Path("/proc/self")


def resident() -> int | None:
    """Bytes resident now."""
    return _status("VmRSS")


def peak() -> int | None:
    """Bytes resident at most, since the start or since `restart_peak`."""
    found = _status("VmHWM")  # ru_maxrss may be that of the process that started this one
    if found is not None:
        return found
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def restart_peak() -> None:
    """Let the peak begin anew, where the system can: Linux."""
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return  # the peak since the start is then an upper bound


def device_peak() -> int | None:
    """Bytes that arrays took of the GPU at most; None on the CPU."""
    if backend.device() == "cpu":
        return None
    return backend.xp().get_default_memory_pool().total_bytes()  # which gives nothing back


def peaks(before: dict) -> dict[str, int | None]:
    """peak_bytes and peak_device_bytes: of this process, or those `before` if they were higher."""
    now = {"peak_bytes": peak(), "peak_device_bytes": device_peak()}
    return {name: max(now[name] or 0, before.get(name) or 0) or None for name in now}


def _status(field: str) -> int | None:
    try:
        text = (_PROC / "status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else None
