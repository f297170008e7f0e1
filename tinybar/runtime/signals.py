"""Signals that ask the process to end, as an exception that a block can hold back.

The command line installs the handlers. A computation holds a signal back until its state is saved:

    with signals.held():
        for batch in batches:
            step(batch)
            if signals.received():
                save()
                signals.stop()
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; a request to end; the terminal was closed

_received: int | None = None
_is_held = False


class Interrupted(BaseException):
    """A signal has ended the computation. No Exception: nothing on the way may handle it.

    code: the exit code that shells give to it. where: what had been reached and saved, or "".
    """

    def __init__(self, number: int, where: str = ""):
        super().__init__(signal.Signals(number).name)
        self.code: int = 128 + number
        self.where: str = where


@contextmanager
def raised() -> Iterator[None]:
    """In the block, a signal raises Interrupted; afterwards it does what it did before.

    A signal that the process was started to ignore (as `nohup` does) stays ignored. Only the main
    thread can do this; elsewhere the block changes nothing.
    """
    global _received
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    is_main = threading.current_thread() is threading.main_thread()
    ours = {n: h for n, h in before.items() if is_main and h not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        _received = None


@contextmanager
def held() -> Iterator[None]:
    """In the block, a signal is only noted; Interrupted is raised at its end, or by `stop`."""
    global _is_held
    _is_held = True
    try:
        yield
    finally:
        _is_held = False
    stop()


def received() -> int:
    """The signal that was noted, 0 for none."""
    return _received or 0


def note(number: int) -> None:
    """Note a signal as if it had come: another process that computes with this one got it."""
    global _received
    _received = _received or number or None


def stop(where: str = "") -> None:
    """Raise Interrupted if a signal was noted. where: what has been reached and saved."""
    if _received is not None:
        raise Interrupted(_received, where)


def _handle(number: int, frame) -> None:
    global _received
    if _received is not None:  # it must not disturb what the first one has begun; a third one kills
        signal.signal(number, signal.SIG_DFL)
        return
    _received = number
    if not _is_held:
        raise Interrupted(number)
