"""A lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None  # type: ignore[assignment]

POLL = 0.2  # seconds between two tries


class LockedError(ValueError):
    """Another process holds the lock. pid: its number, as text; empty for a moment."""

    def __init__(self, pid: str):
        super().__init__(f"locked by process {pid}")
        self.pid = pid


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock in the file `path`, which is there only as long as the lock is held.

    Raises LockedError if it is held already, OSError if the file cannot be written.
    """
    while True:
        file = open(path, "a+", encoding="ascii")  # noqa: SIM115, it stays open
        if not _lock(file):
            file.seek(0)
            with file:
                raise LockedError(file.read().strip())
        if _is_at(path, file):
            break
        file.close()  # whoever held it has removed it since: try again
    with file:
        file.truncate(0)
        with suppress(OSError):  # a full disk: the lock is held all the same
            os.write(file.fileno(), str(os.getpid()).encode())
        try:
            yield
        finally:
            if _is_at(path, file):
                with suppress(OSError):  # Windows removes no file that is open
                    path.unlink()


@contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """As `locked`; waits for as long as another process holds the lock."""
    with ExitStack() as stack:
        while not _entered(stack, path):
            time.sleep(POLL)
        yield


def _entered(stack: ExitStack, path: Path) -> bool:
    try:
        stack.enter_context(locked(path))
    except LockedError:
        return False
    return True


def _lock(file: TextIO) -> bool:
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(1 << 20)  # a locked byte cannot be read, and the number is at the beginning
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
