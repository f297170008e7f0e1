"""What a sweep shows: the runs that are at work, and how much is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from ..sweep.grid import LARGE
from ..sweep.job import Outcome, epochs_done, is_at_work, worker_of
from ..sweep.run import Sweep
from ..train.budget import parse_budget
from .text import duration

FACTOR = 8.0  # of a budget that is a number, while the network is not known


def job_list(sweep: Sweep) -> list[str]:
    """A line for each run of the grid, with its status."""
    width = max(map(len, sweep.runs))
    return [f"{name:{width}}  {sweep.status(name)}" for name in sweep.runs]


class SweepDisplay:
    """Call it with each outcome as it comes, and with None now and then. Use as a context.

    On a terminal, a table shows the jobs at work; everywhere, a line is printed as one ends, and
    without a terminal as one begins. clock: in seconds.
    """

    def __init__(self, console: Console, sweep: Sweep, clock: Callable[[], float] = time.monotonic):
        self.console: Console = console
        self.sweep: Sweep = sweep
        self.clock: Callable[[], float] = clock
        self.since: dict[str, tuple[float, int]] = {}  # when a job was first seen, and its epochs
        self.began: float = clock()
        self.ended: int = 0
        self.live: Live = Live(
            console=console, get_renderable=self.frame, transient=True, refresh_per_second=1
        )

    def __enter__(self) -> SweepDisplay:
        if self.console.is_interactive:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def __call__(self, sweep: Sweep, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.ended += outcome.name in sweep.runs
            self.since.pop(outcome.name, None)
            how = f"failed: {outcome.reason}" if outcome.reason else "finished"
            self.console.print(f"{outcome.name} {how}, {self.counts()}", soft_wrap=True)
            return
        for name in self.at_work():
            if name not in self.since:
                self.since[name] = self.clock(), epochs_done(sweep.folders[name])
                if not self.console.is_interactive:
                    where = worker_of(sweep.folders[name])
                    self.console.print(f"{name} is at work on {where}", soft_wrap=True)

    def at_work(self) -> list[str]:
        """The jobs that a worker has: of this sweep, or of another one in the folder."""
        folders = self.sweep.folders
        return [n for n, path in folders.items() if is_at_work(path) and worker_of(path)]

    def counts(self) -> str:
        """How many runs have ended, and the time left if the others take as long as these."""
        total, finished, failed = len(self.sweep.runs), 0, 0
        for name in self.sweep.runs:
            if self.sweep.is_finished(name):
                finished += 1
            elif self.sweep.failure(name):
                failed += 1
        text = f"{finished} of {total} runs"
        text += f", {failed} failed" * bool(failed)
        left = total - finished - failed
        if self.ended and left:
            text += f", {duration((self.clock() - self.began) / self.ended * left)} left"
        return text

    def frame(self) -> RenderableType:
        """The counts, and the table of what is at work: where it is long, its end is cut."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("at work", overflow="fold")
        table.add_column("on", no_wrap=True, overflow="ellipsis")
        table.add_column("epoch", no_wrap=True, justify="right")
        table.add_column("left", no_wrap=True, justify="right")
        for name in self.at_work():
            folder = self.sweep.folders[name]
            done, total = epochs_done(folder), epochs_of(self.sweep, name)
            table.add_row(name, worker_of(folder), f"{done}/{total}", self._left(name, done, total))
        return Group(self.counts(), table)

    def _left(self, name: str, done: int, total: int) -> str:
        start, before = self.since.get(name, (self.clock(), done))
        if done <= before:
            return "-:--:--"
        return duration((self.clock() - start) / (done - before) * max(0, total - done))


def epochs_of(sweep: Sweep, name: str) -> int:
    """The epochs of the job, by its options; of methods that search, an estimate."""
    config = sweep.jobs[name].config
    if name not in sweep.runs:
        return config.teacher_epochs
    is_number = config.budget.isdigit()
    return config.total_epochs(FACTOR if is_number else LARGE / parse_budget(config.budget, LARGE))
