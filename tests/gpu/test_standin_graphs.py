"""CUDA graphs on the stand-in for CuPy: recorded, launched, and what cannot be recorded."""

import operator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

HOST = np.ones((2, 3), "f4")


def captured(cupy, work):
    """What `work` asks for, as a graph."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            result = work()
        finally:
            graph = stream.end_capture()
    return graph, result


def test_a_graph_does_later_what_was_asked_for(cupy):
    x, total = cupy.arange(4.0), cupy.zeros(())

    def work():
        y = (x * 2).sum()
        operator.iadd(total, y)
        return y

    graph, y = captured(cupy, work)
    assert np.isnan(y.get())  # nothing has been computed
    assert float(total) == 0
    with cupy.standin.counting() as counts:
        graph.launch()
    assert cupy.standin.total(counts, "launches") == 1
    assert (float(y), float(total)) == (12, 12)
    x[...] = 1
    graph.launch()
    assert (float(y), float(total)) == (8, 20)


FORBIDDEN = [
    lambda xp, a: float(a[0, 0]),
    lambda xp, a: xp.asarray(HOST),
    lambda xp, a: a[[0, 1]],
    lambda xp, a: a[a > 0],
    lambda xp, a: xp.cuda.get_current_stream().synchronize(),
    lambda xp, a: xp.cuda.Device().synchronize(),
]


@pytest.mark.parametrize("work", FORBIDDEN)
def test_a_captured_stream_cannot_be_waited_for(work, cupy):
    ones = cupy.ones((2, 3), "f4")
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="StreamCaptureUnsupported"):
        captured(cupy, lambda: work(cupy, ones))
    assert float(ones[0, 0]) == 1  # it goes on afterwards


def test_a_graph_reads_pinned_memory_again(cupy):
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(32), np.float64)
    pinned[:] = 1
    x = cupy.zeros(4)
    graph, y = captured(cupy, lambda: (x.set(pinned), x.sum())[1])
    pinned[:] = 2
    graph.launch()
    assert float(y) == 8


def test_the_default_stream_is_not_captured(cupy):
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.get_current_stream().begin_capture()


def test_no_array_is_made_where_a_graph_has_its_own(cupy):
    stream, pool = cupy.cuda.Stream(), cupy.cuda.MemoryPool()
    with stream:
        stream.begin_capture()
        cupy.ones(3)
        graph = stream.end_capture()
        with pytest.raises(RuntimeError, match="belongs to a captured graph"):
            cupy.ones(3)
        with cupy.cuda.using_allocator(pool.malloc):
            cupy.ones(3)
    cupy.ones(3)
    del graph
    with stream:
        cupy.ones(3)


def test_another_thread_works_on_while_a_stream_is_captured(cupy):
    def work():
        with ThreadPoolExecutor(1) as other:
            return other.submit(lambda: float(cupy.asarray(HOST).sum())).result(10)

    _, total = captured(cupy, work)
    assert total == 6
