"""CUDA graphs: the work of a step, recorded once and then launched as one.

A recorded step runs again on the same arrays. What the host hands to it each time, such as noise,
it asks for by `fed`; everything else that it computes with must be on the device already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import arrays

MODES = ("auto", "off")

_mode = "auto"
_recording: Graph | None = None


def use_graphs(mode: str) -> None:
    """ "auto": steps are recorded on a GPU; "off": never. Raises ValueError for another mode."""
    global _mode
    if mode not in MODES:
        raise ValueError(f"unknown mode of graphs {mode!r}: use one of {', '.join(MODES)}")
    _mode = mode


def are_used() -> bool:
    """Whether steps are recorded on the current device."""
    return _mode == "auto" and arrays.device() != "cpu"


def fed(make: Callable[[], np.ndarray]) -> arrays.Array:
    """What make() returns, on the device.

    In a step that is recorded, this array is filled anew before each launch, by calling `make`.
    """
    if _recording is None:
        return arrays.to_device(make())
    return _recording.feed(make)


class Graph:
    """What is asked of the current GPU in a block, to be launched again and again.

    graph = Graph()
    with graph.recorded():      # nothing is computed yet
        y = f(x)
    graph.launch()              # now it is, in the arrays x and y

    Its arrays have a memory pool of their own, which it keeps.
    """

    def __init__(self) -> None:
        self._pool = arrays.xp().cuda.MemoryPool()
        self._feeds: list[tuple[Any, Callable[[], np.ndarray]]] = []
        self._first: list[np.ndarray] = []  # for the first launch

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the block. What it must not ask for, such as a value on the host, raises."""
        global _recording
        cuda = arrays.xp().cuda
        arrays.xp().get_default_memory_pool().free_all_blocks()  # which recorded steps do not use
        stream = cuda.Stream()
        with cuda.using_allocator(self._pool.malloc), stream:
            stream.begin_capture()
            _recording = self
            try:
                yield
            finally:
                _recording = None
                self._graph = stream.end_capture()

    def feed(self, make: Callable[[], np.ndarray]) -> arrays.Array:
        """An array that is filled by `make` before each launch."""
        value = np.ascontiguousarray(make())
        buffer = arrays.xp().empty(value.shape, value.dtype)
        self._feeds.append((buffer, make))
        self._first.append(value)
        return buffer

    def launch(self) -> None:
        """Hand over what is fed, and run it all, on the current stream."""
        values, self._first = self._first, []
        for k, (buffer, make) in enumerate(self._feeds):
            buffer.set(values[k] if values else np.ascontiguousarray(make()))
        self._graph.launch()
