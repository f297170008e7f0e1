"""One voice and one end for processes that mpiexec has started together."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..runtime import ranks

GRACE = 2.0  # seconds for rank 0 to say itself why it ends

# A process that watches rank 0: if its input ends without a word, rank 0 was killed.
WATCHMAN = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"

_watchman: subprocess.Popen | None = None


@contextmanager
def as_one() -> Iterator[None]:
    """In the block rank 0 alone speaks, and where one process fails, all end.

    The last line of another rank is heard only if rank 0 does not fail, too, within GRACE.
    """
    place = ranks.launched()
    if place.size == 1:
        yield
        return
    voice, code = sys.stderr, 1
    if place.rank:
        sys.stdout, sys.stderr = open(os.devnull, "w"), io.StringIO()  # noqa: SIM115
    try:
        yield
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        raise
    except BaseException:
        if ranks.size() > 1:  # else Python prints it
            traceback.print_exc()
        raise
    finally:
        if code and ranks.size() > 1 and place.rank:
            time.sleep(GRACE)
            said: Any = sys.stderr
            lines = said.getvalue().splitlines() or [f"ended with {code}"]
            print(f"{lines[-1]} (process {place.rank} of {place.size})", file=voice, flush=True)
        if _watchman is not None:
            _watchman.communicate(b"this process ends by itself")
        if code:
            ranks.end(code)


def watch(line: str) -> None:
    """On rank 0: let the line be said if a process is killed, so that mpiexec kills all others."""
    global _watchman
    if ranks.size() > 1 and ranks.rank() == 0:
        command = [sys.executable, "-c", WATCHMAN, line]
        # In a session of its own it is not killed with the others.
        _watchman = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
