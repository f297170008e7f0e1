"""Where jobs are executed: on this machine, or on a Dask cluster."""

from __future__ import annotations

import logging
import re
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
    _check(address, tls)
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        raise ValueError("a cluster needs Dask: pip install 'tinybar[sweep]'") from error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # we say it in a line
    files = {name: str(path) for name, path in tls.items()}
    try:
        security = Security(require_encryption=True, **files) if files else None
        client = Client(address, timeout=10, security=security, set_as_default=False)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"no scheduler answers at {address}: {said}") from error

    def interrupt(sweep: str) -> None:
        with suppress(OSError, RuntimeError):  # the scheduler is gone
            client.run(job.interrupt, sweep, on_error="ignore")

    with client:
        yield Workers(client.get_executor(pure=False), interrupt)


def _check(address: str, tls: dict[str, Path]) -> None:
    """ValueError for what a Client would fail on, and then wait for itself to close."""
    match = re.fullmatch(r"(tcp|tls)://.+:\d+", address)
    if match is None:
        raise ValueError(f"--scheduler is tcp://HOST:PORT or tls://HOST:PORT, not {address}")
    if len(tls) != (3 if match[1] == "tls" else 0):
        raise ValueError("--tls-ca-file, --tls-cert and --tls-key go with --scheduler tls://")
