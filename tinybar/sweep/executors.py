"""Where jobs are executed: on this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from . import job


class Workers(NamedTuple):
    """interrupt: a sweep's jobs, wherever the executor has begun them."""

    executor: Executor
    interrupt: Callable[[str], None]


@contextmanager
def local(jobs: int) -> Iterator[Workers]:
    """This machine, with so many jobs at a time."""
    executor = ThreadPoolExecutor(jobs)  # each thread waits for a process
    try:
        yield Workers(executor, job.interrupt)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def cluster(address: str, tls: dict[str, Path]) -> Iterator[Workers]:
    """A Dask cluster, with as many jobs at a time as its workers have threads.

    tls: files by Dask's names for them, {} for a connection that is not encrypted.
    Raises ValueError where Dask is missing, or where no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        raise ValueError("a cluster needs Dask: pip install 'tinybar[sweep]'") from error
    files = {name: str(path) for name, path in tls.items()}
    try:
        security = Security(require_encryption=True, **files) if files else None
        client = Client(address, timeout=10, security=security, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"no scheduler answers at {address}: {said}") from error

    def interrupt(sweep: str) -> None:
        with suppress(OSError, RuntimeError):  # the scheduler is gone
            client.run(job.interrupt, sweep, on_error="ignore")

    with client:
        yield Workers(client.get_executor(pure=False), interrupt)
