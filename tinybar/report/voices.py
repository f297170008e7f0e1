"""What `tinybar train` says: to a person, in lines of JSON, or of what is wrong alone."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from .. import __version__
from ..data import Dataset
from ..train.config import Config
from ..train.run import Plan
from .place import Course
from .summary import facts_of, machine, summary
from .tables import peak_memory, result_tables
from .terminal import Display, plain_console, waiting
from .text import shown

NEXT = {  # command -> what it is for
    "eval {}": "its accuracy",
    "report {}": "a page about it",
    "predict {} IMAGE...": "classes of images",
    "export {} -o net.onnx": "for other runtimes",
}


class Quiet:
    """Says warnings on stderr, and nothing else. A voice is told these things in this order."""

    def begin(self, config: Config) -> None:
        """The options are known and the device is chosen."""

    def waiting(self, what: str) -> AbstractContextManager:
        """In the block something is done that may take a while."""
        return nullcontext()

    def plan(self, config: Config, dataset: Dataset, plan: Plan, folder: Path) -> None:
        """What is going to be done, and where."""
        for note in dataset.notes:
            self.warn(note)

    def listener(self, config: Config, epochs: int) -> AbstractContextManager:
        """Who is told how the run goes, as in `train.listeners`."""
        return nullcontext(self)

    def __call__(self, record: dict[str, Any]) -> None:
        """An epoch was trained."""

    def warn(self, line: str) -> None:
        """There is a warning."""
        print(f"tinybar: warning: {shown(line)}", file=sys.stderr)

    def teacher(self, accuracy: float, path: Path) -> None:
        """The teacher is trained, and nothing else is to be."""

    def result(
        self, outcome: dict[str, Any], channels: list[Any], folder: Path, memory: bool
    ) -> None:
        """The run is complete. memory: whether its peak is to be told."""


class JsonLines(Quiet):
    """Says each of these as a line of JSON with its name as "event"; of the steps, one a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.course: Course = Course(clock)
        self.due: Any = -math.inf
        self.epochs: int = 0

    def begin(self, config: Config) -> None:
        """As `Quiet.begin`."""
        say("begin", tinybar=__version__, options=config.as_table(), machine=machine())

    def plan(self, config: Config, dataset: Dataset, plan: Plan, folder: Path) -> None:
        """As `Quiet.plan`."""
        say("plan", **facts_of(config, dataset, plan), folder=str(folder))

    def listener(self, config: Config, epochs: int) -> AbstractContextManager:
        """As `Quiet.listener`."""
        self.epochs = epochs
        return nullcontext(self)

    def step(
        self, stage: str, epoch: int, epochs: int, iteration: int, iterations: int, images: int
    ) -> None:
        """As `Display.step`."""
        place = self.course.move(stage, epoch, epochs, iteration, iterations, images)
        if place.now >= self.due:
            self.due = place.now + 1
            say("step", stage=stage, epoch=epoch, epochs=epochs, iteration=iteration,
                iterations=iterations, images_per_second=place.speed(),
                seconds_left=place.left(self.epochs))  # fmt: skip

    def __call__(self, record: dict[str, Any]) -> None:
        """As `Quiet.__call__`: a line of metrics.jsonl, and the epochs of the stage."""
        if record["epoch"] == record["epochs"]:
            self.course.end(record["epochs"])
        say("epoch", **record)

    def warn(self, line: str) -> None:
        """As `Quiet.warn`."""
        say("warning", text=line)

    def teacher(self, accuracy: float, path: Path) -> None:
        """As `Quiet.teacher`."""
        say("teacher", accuracy_teacher=accuracy, path=str(path))

    def result(
        self, outcome: dict[str, Any], channels: list[Any], folder: Path, memory: bool
    ) -> None:
        """As `Quiet.result`: the content of result.json."""
        say("result", **outcome, folder=str(folder))


def say(event: str, **facts: Any) -> None:
    """A line of JSON on stdout, at once."""
    print(json.dumps({"event": event, **facts}), flush=True)


class Person(Quiet):
    """Says it in words, and shows on a terminal how far the run is."""

    def __init__(self) -> None:
        self.console: Any = plain_console()

    def begin(self, config: Config) -> None:
        """As `Quiet.begin`."""
        line = f"tinybar {__version__}, seed {config.seed}, {machine()}"
        self.console.print(line, soft_wrap=not self.console.is_interactive)

    def waiting(self, what: str) -> AbstractContextManager:
        """As `Quiet.waiting`."""
        return waiting(self.console, what)

    def plan(self, config: Config, dataset: Dataset, plan: Plan, folder: Path) -> None:
        """As `Quiet.plan`."""
        rows = [*summary(facts_of(config, dataset, plan)), ("folder", str(folder))]
        if not self.console.is_interactive:
            for name, value in rows:
                self.tell(f"{name:9}{value}")
            return
        table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def listener(self, config: Config, epochs: int) -> Display:
        """As `Quiet.listener`."""
        return Display(self.console, config.metric, epochs)

    def teacher(self, accuracy: float, path: Path) -> None:
        """As `Quiet.teacher`."""
        self.tell(f"test accuracy {100 * accuracy:.2f} %; the teacher is {path}")
        self.tell(f"next: tinybar train --resume {quoted(path.parent)}   prunes it")

    def result(
        self, outcome: dict[str, Any], channels: list[Any], folder: Path, memory: bool
    ) -> None:
        """As `Quiet.result`."""
        self.console.print(result_tables(outcome, channels))
        if memory:
            self.tell(peak_memory(outcome))
        self.tell(f"trained for {outcome['seconds']:.0f} s; results in {folder}")
        lines = {f"tinybar {command.format(quoted(folder))}": why for command, why in NEXT.items()}
        width = max(map(len, lines))
        self.tell("next:")
        for line, why in lines.items():
            full = f"  {line:{width}}  {why}"
            self.tell(full if len(full) <= self.console.width else f"  {line}")

    def tell(self, line: str) -> None:
        """Print a line that may be longer than the terminal is wide."""
        self.console.print(line, soft_wrap=True)


def quoted(path: Path) -> str:
    """The path as a shell takes it."""
    return shlex.quote(str(path))


def voice(quiet: bool, as_json: bool) -> Quiet:
    """The voice that was asked for. ValueError for both."""
    if quiet and as_json:
        raise ValueError("--quiet prints nothing and --json prints lines: leave one of them out")
    return Quiet() if quiet else JsonLines() if as_json else Person()
