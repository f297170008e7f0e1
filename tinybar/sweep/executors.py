"""Where jobs are executed: on this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ..runtime.processors import processors


@contextmanager
def local(jobs: int) -> Iterator[tuple[Executor, int]]:
    """An executor on this machine, and the number of threads for each of `jobs` at a time."""
    executor = ThreadPoolExecutor(jobs)  # each thread waits for a process
    try:
        yield executor, max(1, processors() // jobs)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def cluster(address: str, tls: dict[str, Path]) -> Iterator[tuple[Executor, int]]:
    """An executor on a Dask cluster, and the number of threads for each job: those of a worker.

    tls: files by Dask's names for them, {} for a connection that is not encrypted.
    Raises ValueError where Dask is missing, or where no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        raise ValueError("a cluster needs Dask: pip install 'tinybar[sweep]'") from error
    files = {name: str(path) for name, path in tls.items()}
    security = Security(require_encryption=True, **files) if files else None
    try:
        client = Client(address, timeout=10, security=security, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"no scheduler answers at {address}: {error}") from error
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        threads = min((worker["nthreads"] for worker in workers), default=1)
        yield client.get_executor(pure=False), threads
