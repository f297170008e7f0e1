"""Resident memory of this process, now and at its peak, in bytes; None where it cannot be told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PROC = Path("/proc/self")


def resident() -> int | None:
    """Bytes resident now."""
    return _status("VmRSS")


def peak() -> int | None:
    """Bytes resident at most, since the start or since `restart_peak`."""
    found = _status("VmHWM")
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


def _status(field: str) -> int | None:
    try:
        text = (_PROC / "status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else None
