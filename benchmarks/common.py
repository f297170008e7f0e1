"""What several benchmarks share: parts of a data set, processes, tables, pages."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from tinybar import __version__, keep_freed_memory
from tinybar.data import Dataset
from tinybar.kernels import dispatch
from tinybar.runtime import arrays, threads
from tinybar.runtime.files import write_json, write_text

RESULTS = Path(__file__).with_name("results")


def first(dataset: Dataset, train: int, test: int) -> Dataset:
    """The data set with its first training and test images only."""
    parts = dataset.train.subset(np.arange(train)), dataset.test.subset(np.arange(test))
    return replace(dataset, train=parts[0], test=parts[1])


def one_thread_each(jobs: int, **options) -> ProcessPoolExecutor:
    """A pool of `jobs` processes with one thread each."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # for the processes
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, spawn, _one_thread, **options)


def _one_thread() -> None:
    threads.use_threads(1)
    keep_freed_memory()  # as the command line does


def importing(*folders: Path) -> dict[str, str]:
    """The environment of a process that imports from these folders before all others."""
    known = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, known))}


def origin() -> str:
    """Date, version and processor, for the head of a page."""
    return f"{date.today()}, tinybar {__version__}, {arrays.device_name()}"


def commit() -> str:
    """The commit that ran, for the head of a page."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    folder = RESULTS.parent
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # a machine without git
        return "unknown"
    return done.stdout.strip() or "unknown"


def kernels() -> str:
    """Which implementation ran, for the head of a page."""
    return "compiled kernels" if dispatch.is_available() else "no compiled kernels"


def table(headings: Sequence[str], rows: Iterable[Sequence]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (headings, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(headings), *lines[1:]])


def mean_sd(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    return f"{mean(values):.4f} +- {stdev(values):.4f}"


def save(name: str, page: str, figures) -> None:
    """Write results/NAME.md and, with the figures behind the page, results/NAME.json; show it."""
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", figures)
    write_text(RESULTS / f"{name}.md", page)
    print(page)
