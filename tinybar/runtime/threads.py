"""All cores on one operation: the parts of a batch, each worked on by one thread.

NumPy and the compiled kernels release the GIL while they compute, so threads run side by side. A
part that fits in a core's cache is read from memory once, however many steps are made of it. The
threads of BLAS would wait for work on the same cores, spinning; while parts are worked on, BLAS has
the calling thread only.

The parts must follow from the shapes alone: then sums over parts are added in the same order, and
results are the same bits, whatever the number of threads.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from . import blas
from .processors import processors

WORTH_A_CORE = 1 << 17  # numbers to read: fewer are worked on before another thread has woken up

_pool: ThreadPoolExecutor | None = None
_worker = threading.local()


def check_threads(n: int) -> None:
    """For the option: ValueError unless n is an integer from 1 to the number of processors."""
    if not _is_count(n) or n > processors():
        raise ValueError(
            f"--threads must be an integer from 1 to {processors()}, the processors there are; "
            f"got {n!r}"
        )


def count() -> int:
    """How many threads work on the parts: what was set, else those that BLAS has at first.

    No more, then, than there are processors.
    """
    return blas.threads()


def use_threads(n: int) -> None:
    """Let n threads work from now on, here and in BLAS. ValueError unless n is an integer >= 1."""
    global _pool
    if not _is_count(n):
        raise ValueError(f"the number of threads is an integer >= 1, got {n!r}")
    blas.set_threads(n)
    _pool = None


def _is_count(n) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 1


def is_inside() -> bool:
    """Whether the caller is working on one part of several: the other cores are taken."""
    return getattr(_worker, "busy", False)


def each(function: Callable[..., Any], parts: Sequence[Any]) -> list[Any]:
    """[function(part) for part in parts], by all threads; BLAS has one thread within each.

    An error in a part is raised here. Inside another `each`, parts are worked on one by one; a
    single part is not one of several, and may be shared out again.
    """
    if is_inside() or len(parts) < 2:
        return [function(part) for part in parts]
    results, todo = [None] * len(parts), enumerate(parts)  # the threads share one iterator

    def work() -> None:
        _worker.busy = True
        try:
            for i, part in todo:
                results[i] = function(part)
        finally:
            _worker.busy = False
            for _ in todo:  # after an error the others stop, too
                pass

    with blas.one_thread():
        # In a copy of the context: NumPy's errstate is the caller's.
        helpers = [
            _workers().submit(contextvars.copy_context().run, work)
            for _ in range(min(count(), len(parts)) - 1)
        ]
        try:
            work()
        finally:
            helpers = [helper for helper in helpers if not helper.cancel()]  # not yet begun
            wait(helpers)
        for helper in helpers:
            helper.result()
    return results


def slices(n: int, parts: int) -> list[slice]:
    """n things in `parts` slices, whose lengths differ by one at most."""
    edges = [n * i // parts for i in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _workers() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, count() - 1), thread_name_prefix="tinybar")
    return _pool


def _forget() -> None:
    """A forked process has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
