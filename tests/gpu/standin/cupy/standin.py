"""What the device is asked to do: counted, recorded while a stream is captured, else done at once.

    with standin.counting() as counts:      # a Counter of (place, kind, name)
        step()
    standin.total(counts, "launches")

kind: "launches" of kernels, memory set or copied on the device included; "allocations"; "copies"
from host memory; "reads", where the host waits for values. place: what `standin.place` was.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy as np

LARGE = 1 << 16  # entries, from which on nothing is computed in a dry run

counts: Counter[tuple[str, str, str]] = Counter()
place = ""  # whose work it is
is_dry = False  # count alone: large results stay zero, and shapes are all that is computed
recorded: list[Callable[[], None]] | None = None  # the work of a captured stream, to be done later
capturing_thread = 0  # whose work it is
memory: tuple = (None, 0)  # pool and stream that arrays are made for: CuPy has room for each
captured: WeakKeyDictionary = WeakKeyDictionary()  # graph -> the memory that it works in


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""

    def __init__(self, name: str):
        self.status = 900
        super().__init__(name)


CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"


def count(kind: str, name: str, times: int = 1) -> None:
    """Count what the device is asked to do."""
    counts[place, kind, name] += times


def launch(name: str, job: Callable[[], None], size: int = 0, times: int = 1) -> None:
    """`job` writes into arrays that are there. size: the entries that it touches."""
    counts[place, "launches", name] += times
    queue(job, size)


def queue(job: Callable[[], None], size: int = 0) -> None:
    """Do it, or keep it for later."""
    if is_capturing():
        recorded.append(job)
    elif not (is_dry and size > LARGE):
        with np.errstate(all="ignore"):  # a GPU warns of nothing
            job()


def kept(array: np.ndarray) -> np.ndarray:
    """The array, which the graph that is recorded keeps: its memory is nobody else's."""
    recorded.append(lambda: array)
    return array


def is_capturing() -> bool:
    """Whether what this thread asks for is recorded."""
    return recorded is not None and threading.get_ident() == capturing_thread


def allocate() -> None:
    """Count an array. Where a graph was captured no other array may be made while it lives.

    What the graph's arrays had is free there for the next one, into which the graph would write.
    """
    count("allocations", "")
    if recorded is None and memory in captured.values():
        raise RuntimeError("this memory belongs to a captured graph: use another stream or pool")


def wait(name: str) -> None:
    """The host waits. A captured stream cannot be waited for."""
    if is_capturing():
        raise CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: {name}: operation not permitted when stream is "
            "capturing"
        )


def read(name: str) -> None:
    """The host waits for values."""
    wait(name)
    count("reads", name)


@contextmanager
def counting() -> Iterator[Counter]:
    """What is asked for in the block."""
    before, found = counts.copy(), Counter()
    yield found
    found.update({key: n - before[key] for key, n in counts.items() if n > before[key]})


@contextmanager
def dry() -> Iterator[None]:
    """In the block large results are not computed."""
    global is_dry
    is_dry = True
    try:
        yield
    finally:
        is_dry = False


def total(found: Counter, kind: str) -> int:
    """All of a kind."""
    return sum(n for (_, k, _), n in found.items() if k == kind)
