"""A run from Python: `tinybar.train`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..autograd.conv import use_algorithm
from ..runtime import random, signals
from ..runtime.arrays import device, use_device, use_precision
from . import run
from .config import configure
from .folder import RunFolder, free_folder
from .listeners import Listener, Listeners
from .result import finish


class Result(dict[str, Any]):
    """The content of result.json, by name. folder: of the run, with both networks."""

    def __init__(self, outcome: dict[str, Any], folder: Path):
        super().__init__(outcome)
        self.folder = folder


def train(
    *,
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    preset: str | None = None,
    device: str = "auto",
    progress: bool | Listener = False,
    **options: Any,
) -> Result:
    """Train a network and prune it to a budget, as `tinybar train` does: the same run.

        result = tinybar.train(data="photos", model="wrn-16-4", budget="16x")
        result["accuracy"], result.folder

    options: those of `tinybar train`, by name: `epochs=(80, 40, 10)`, `skip_closed=True`,
    `lambda_=1e-5`. out: the run's folder; None is a new one in runs/. resume: of an interrupted
    run, that goes on. preset, device: as on the command line. progress: True prints a line for each
    epoch; a function is called with its record (`train/listeners.py`). Otherwise nothing is
    printed; result["warnings"] has what there was to say.

    Ctrl-C saves what was reached, and raises KeyboardInterrupt. Device and random streams are
    afterwards as they were. Raises ValueError for options that are unknown or do not fit,
    TrainingError where the run diverges.
    """
    given = {name.rstrip("_"): _plain(value) for name, value in options.items()}
    out = None if out is None else Path(out)
    with ExitStack() as stack:
        stack.enter_context(_own_state())
        if resume is None:
            folder, config = None, configure(given, preset)
        else:
            folder = RunFolder.open(Path(resume))
            stack.enter_context(folder.locked())
            config = folder.config_to_resume(given, preset, out)
        use_device(device)
        use_precision(config.precision)
        use_algorithm(config.conv_algorithm)
        dataset = config.dataset()
        plan = run.check(config, dataset, folder)
        if folder is None:
            folder = RunFolder.create(out or free_folder(Path("runs"), config.name()), config)
            stack.enter_context(folder.locked())
        stack.enter_context(_interruptible(folder.path))
        listen = Listeners(*([Lines()] if progress is True else [progress] if progress else []))
        for note in dataset.notes:
            listen.warn(note)
        facts = run.train(config, dataset, folder, listen, plan.budget)
        finish(config, dataset, folder, facts)
        return Result(json.loads(folder.result.read_text("utf-8")), folder.path)


class Lines:
    """Prints a line for each epoch, and each warning."""

    def __call__(self, record: dict[str, Any]) -> None:
        accuracy = record.get("accuracy_val", record["accuracy_test"])
        print(
            f"{record['stage']} {record['epoch']}/{record['epochs']}: loss {record['loss']:.3f}, "
            f"accuracy {100 * accuracy:.2f} %, cost {record['cost']:,}",
            flush=True,
        )

    def warn(self, line: str) -> None:
        """Print it."""
        print(f"warning: {line}", flush=True)


def _plain(value):
    return os.fspath(value) if isinstance(value, os.PathLike) else value


@contextmanager
def _own_state() -> Iterator[None]:
    """Device, precision, algorithm and random streams of the block are its own."""
    streams, here = random.streams_state(), device()
    try:
        yield
    finally:
        use_precision("fp32")
        use_algorithm("auto")
        use_device(here)
        random.restore_streams(streams)


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """A signal is held back until the step that was reached is saved."""
    try:
        with signals.raised():
            yield
    except signals.Interrupted as stop:
        raise KeyboardInterrupt(
            f"interrupted{stop.where}; tinybar.train(resume={str(folder)!r}) goes on"
        ) from None
