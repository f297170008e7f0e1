"""How many processors this process may use: fewer than the machine has, where it shares them."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path


def processors() -> int:
    """Those that the scheduler grants it, and no more than its quota of their time, rounded up."""
    granted, limit = _granted(), quota()
    return granted if limit >= granted else max(1, math.ceil(limit))


def _granted() -> int:
    if hasattr(os, "process_cpu_count"):  # since Python 3.13; a user can set it
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float:
    """How many processors' time the control groups of a Linux container grant; inf if all.

    A group has no more than those that it lies in. root: of the file system that says so.
    """
    with contextlib.suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        return min((_of_group(line, root) for line in lines), default=math.inf)
    return math.inf


def _of_group(line: str, root: Path) -> float:
    """Of one line in /proc/self/cgroup: its number, controllers and path.

    In version 2 there is one line, which names no controllers. In a container the path may be that
    outside of it, and its group stand at the top.
    """
    _, controllers, path = line.split(":", 2)
    if controllers and "cpu" not in controllers.split(","):
        return math.inf
    top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
    names = [name for name in path.split("/") if name not in ("", "..")]
    return min(_of_folder(top.joinpath(*names[:depth])) for depth in range(len(names) + 1))


def _of_folder(folder: Path) -> float:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # "max" is no number
        microseconds, period = (folder / "cpu.max").read_text().split()
        return int(microseconds) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        granted = int((folder / "cpu.cfs_quota_us").read_text())
        if granted > 0:  # -1 is no limit
            return granted / int((folder / "cpu.cfs_period_us").read_text())
    return math.inf
