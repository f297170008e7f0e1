"""`cupy.cuda`: a device, streams, graphs, pools."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .. import standin
from .._list import unknown
from . import cublas, nvrtc, runtime


def is_available() -> bool:
    return True


def get_cublas_handle() -> int:
    return 1


def get_local_runtime_version() -> int:
    return runtime.runtimeGetVersion()


class Device:
    """The only GPU."""

    def __init__(self, device: int | None = None):
        self.id = 0 if device is None else int(device)
        if self.id:
            raise standin.CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    compute_capability, pci_bus_id = "90", "0000:00:00.0"
    mem_info = property(lambda self: runtime.memGetInfo())

    def use(self) -> None:
        pass

    def synchronize(self) -> None:
        standin.wait("Device.synchronize")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id


class MemoryPool:
    """A pool that holds nothing back."""

    def free_bytes(self) -> int:
        return 0

    def used_bytes(self) -> int:
        return 0

    def total_bytes(self) -> int:
        return 0

    def free_all_blocks(self, stream=None) -> None:
        standin.wait("free_all_blocks")

    def malloc(self, size: int) -> None:
        """For `using_allocator`, which calls it nowhere here: NumPy finds the memory."""
        raise unknown("MemoryPool.malloc")


class PinnedMemoryPointer(bytearray):
    """Memory of the host that the device reads by itself."""

    ptr = property(lambda self: id(self))

    def size(self) -> int:
        return len(self)


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    return PinnedMemoryPointer(size)


_pool, _pinned = MemoryPool(), MemoryPool()
standin.memory = (_pool, 0)


def get_default_memory_pool() -> MemoryPool:
    return _pool


def get_default_pinned_memory_pool() -> MemoryPool:
    return _pinned


@contextmanager
def using_allocator(allocator=None) -> Iterator[None]:
    """Within this block arrays are made from the pool whose `malloc` it is; None: no pool."""
    before, stream = standin.memory
    standin.memory = getattr(allocator, "__self__", None), stream
    try:
        yield
    finally:
        standin.memory = before, standin.memory[1]


class Event:
    """A point in a stream."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.done, self._time = True, 0.0

    def record(self, stream=None) -> None:
        self._time = time.perf_counter()

    def synchronize(self) -> None:
        standin.wait("Event.synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    return 1e3 * (end_event._time - start_event._time)


class Graph:
    """The work of a captured stream."""

    def __init__(self, jobs: list):
        self._jobs = jobs

    def launch(self, stream=None) -> None:
        """All of it again, as one launch."""
        standin.launch("graph", self._run)

    def _run(self) -> None:
        for job in self._jobs:
            standin.queue(job)

    def upload(self, stream=None) -> None:
        pass


_streams = itertools.count(16)  # 0 to 2 are CUDA's own


class Stream:
    """Work in order. Everything is done when it is asked for, but while the stream is captured."""

    null: Stream

    def __init__(self, null=False, non_blocking=False, ptds=False, *, priority=None):
        self.ptr = 0 if null else next(_streams)
        self.is_non_blocking, self._is_capturing = non_blocking, False

    def use(self) -> Stream:
        _current[-1] = self
        standin.memory = standin.memory[0], self.ptr
        return self

    def __enter__(self) -> Stream:
        _current.append(self)
        return self.use()

    def __exit__(self, *_) -> None:
        _current.pop()
        _current[-1].use()

    def synchronize(self) -> None:
        standin.wait("Stream.synchronize")

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        pass

    def begin_capture(self, mode: int | None = None) -> None:
        """From now on work on this stream, which must be the current one, is kept for a graph."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if get_current_stream() is not self:
            raise unknown("the capture of a stream that is not the current one")
        if standin.recorded is not None:
            raise standin.CUDARuntimeError("cudaErrorIllegalState: the stream is capturing")
        standin.recorded, self._is_capturing = [], True
        standin.capturing_thread = threading.get_ident()

    def end_capture(self) -> Graph:
        if not self._is_capturing:
            raise standin.CUDARuntimeError("cudaErrorIllegalState: the stream is not capturing")
        jobs, standin.recorded, self._is_capturing = standin.recorded, None, False
        graph = Graph(jobs)
        standin.captured[graph] = standin.memory
        return graph

    def is_capturing(self) -> bool:
        return self._is_capturing


Stream.null = Stream(null=True)
_current = [Stream.null]


def get_current_stream(device_id: int = -1) -> Stream:
    return _current[-1]


__all__ = ["cublas", "nvrtc", "runtime"]
