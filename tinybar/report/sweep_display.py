"""What a sweep shows: the runs that are at work, and how much is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from ..sweep.job import Outcome, epochs_done, worker_of
from ..sweep.run import Sweep
from ..train.budget import parse_budget


def job_list(sweep: Sweep) -> Table:
    """The runs of the grid, with the status of each."""
    table = Table("run", "status")
    for name in sweep.runs:
        table.add_row(name, sweep.status(name))
    return table


class SweepDisplay:
    """Call it with each outcome as it comes, and with None now and then. Use as a context.

    On a terminal, a table shows the jobs at work; elsewhere, a line is printed as one ends.
    clock: in seconds.
    """

    def __init__(self, console: Console, sweep: Sweep, clock: Callable[[], float] = time.monotonic):
        self.console, self.sweep, self.clock = console, sweep, clock
        self.since: dict[str, tuple[float, int]] = {}  # when a job was first seen, and its epochs
        self.began, self.ended = clock(), 0
        self.live = Live(console=console, get_renderable=self.frame, transient=True)

    def __enter__(self) -> SweepDisplay:
        if self.console.is_interactive:
            self.live.start()
        return self

    def __exit__(self, *_) -> None:
        self.live.stop()

    def __call__(self, sweep: Sweep, outcome: Outcome | None) -> None:
        if outcome is None:
            for name in sweep.running:
                self.since.setdefault(name, (self.clock(), epochs_done(sweep.folders[name])))
            return
        self.ended += outcome.name in sweep.runs
        how = f"failed: {outcome.reason}" if outcome.reason else "finished"
        self.console.print(f"{outcome.name} {how}, {self.counts()}", soft_wrap=True)

    def counts(self) -> str:
        """How many runs have ended, and the time left if the others take as long as these."""
        states = [self.sweep.status(name) for name in self.sweep.runs]
        failed = sum(state.startswith("failed") for state in states)
        left = sum(state in ("running", "waiting") for state in states)
        text = f"{states.count('finished')} of {len(states)} runs"
        text += f", {failed} failed" * bool(failed)
        if self.ended and left:
            text += f", {_duration((self.clock() - self.began) / self.ended * left)} left"
        return text

    def frame(self) -> RenderableType:
        """The table of what is at work."""
        table = Table("at work", "on", "epoch", "left", box=None)
        for name in sorted(self.sweep.running):
            folder = self.sweep.folders[name]
            done, total = epochs_done(folder), epochs_of(self.sweep, name)
            table.add_row(name, worker_of(folder), f"{done}/{total}", self._left(name, done, total))
        return Group(table, self.counts())

    def _left(self, name: str, done: int, total: int) -> str:
        start, before = self.since.get(name, (self.clock(), done))
        if done == before:
            return "-:--:--"
        return _duration((self.clock() - start) / (done - before) * max(0, total - done))


def epochs_of(sweep: Sweep, name: str) -> int:
    """The epochs of the job, by its options; of methods that search, an estimate."""
    config = sweep.jobs[name].config
    if name not in sweep.runs:
        return config.teacher_epochs
    full = 10**9
    factor = 8.0 if config.budget.isdigit() else full / parse_budget(config.budget, full)
    return config.total_epochs(factor)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
