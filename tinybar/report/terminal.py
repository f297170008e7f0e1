"""The console of every command, and the live display of a run."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .text import shown

PARTS = 10  # without a terminal, a line is printed for every tenth of a stage,
LONG = 60.0  # and in an epoch when it has taken this many seconds, twice as many, four times ...
LEAST_BAR = 10  # columns


class PlainConsole(Console):
    """A console to which a string is text: no markup, no emoji, no highlighting.

    What cannot be seen as it is is escaped, also in tables: a name can do no more than be shown.
    """

    def render_str(self, text: str, *, style="", justify=None, overflow=None, **_) -> Text:
        """The string as rich's Text: rich calls this for each that it prints."""
        return Text(shown(text), style, justify=justify, overflow=overflow)


def plain_console() -> PlainConsole:
    """The console on stdout. It is as wide as COLUMNS says, if that is a width, or the terminal."""
    width = height = None  # those of the terminal, which may change
    if os.environ.keys() & {"COLUMNS", "LINES"}:
        width, height = shutil.get_terminal_size()
    # FORCE_COLOR is about colours: lines that are written over do not belong in a file.
    is_file = sys.stdout is None or not sys.stdout.isatty()
    return PlainConsole(width=width, height=height, force_interactive=False if is_file else None)


class Place(NamedTuple):
    """How far a run is, and how long it took.

    epoch: 1, 2, ... of the stage. before: epochs of the stages before it. What was trained of this
    stage by this process: `images`, from `start` (epochs) on, between `since` and `now` (seconds).
    """

    stage: str
    epoch: int
    epochs: int
    iteration: int
    iterations: int
    before: int
    images: int
    start: float
    since: float
    now: float

    @property
    def done(self) -> float:
        """Epochs of the stage."""
        return self.epoch - 1 + self.iteration / self.iterations

    def speed(self) -> str:
        """Images per second, evaluation included."""
        seconds = self.now - self.since
        return f"{_short(self.images / seconds, 3) if self.images and seconds else '-'} images/s"

    def left(self, epochs: int) -> str:
        """The time left of a run of so many epochs, if they take as long as those of this stage."""
        trained = self.done - self.start
        if not trained:
            return "-:--:-- left"
        ahead = max(0.0, epochs - self.before - self.done)
        minutes, seconds = divmod(round(ahead * (self.now - self.since) / trained), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left"


class Display:
    """Shows how far a run is. Call `step` for each step, the display for the record of each epoch.

    On a terminal, the last two lines show the current stage, and each stage leaves a line when it
    is complete. Elsewhere, a line is printed every few epochs. Use as a context.

    metric: the name of the cost that the budget limits. epochs: of all stages together. clock: in
    seconds.
    """

    def __init__(
        self,
        console: Console,
        metric: str,
        epochs: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.console, self.metric, self.epochs, self.clock = console, metric, epochs, clock
        self.place: Place | None = None  # None, too, between two stages
        self.before = 0
        self.numbers: list[str] = []  # of the last epoch, the most important first
        self.live = Live(console=console, get_renderable=self.frame, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_interactive:
            self.live.start()
        return self

    def __exit__(self, *_) -> None:
        self.live.stop()
        if self.console.is_interactive and self.place is not None:
            self.console.print(self.frame())  # where it was interrupted

    def step(
        self, stage: str, epoch: int, epochs: int, iteration: int, iterations: int, images: int
    ) -> None:
        """So many iterations of the epoch (1, 2, ... of the stage) are done, the last on `images`.

        Call it with iteration 0 when an epoch begins, and with the last one of the last epoch for a
        stage that an earlier process had completed.
        """
        self._move(stage, epoch, epochs, iteration, iterations, images)
        if not self.console.is_interactive and self.place.now >= self.due:
            self.due += self.due - self.began
            speed, left = self.place.speed(), self.place.left(self.epochs)
            numbers = f"iteration {iteration} of {iterations}, {speed}, {left}"
            self._print(stage, epoch, epochs, numbers)

    def note(self, line: str) -> None:
        """Print a line, above what is live."""
        self.console.print(line, soft_wrap=True)

    def warn(self, line: str) -> None:
        """Print a warning, above what is live."""
        self.console.print(Text(shown(f"warning: {line}"), "bold red"), soft_wrap=True)

    def __call__(self, record: dict) -> None:
        stage, epoch, epochs = record["stage"], record["epoch"], record["epochs"]
        self._move(stage, epoch, epochs, 1, 1, 0)
        is_shown = is_last = epoch == epochs
        if self.console.is_interactive:
            self.numbers = self._numbers(record, ".1f", _short)
        elif epoch == 1 or epoch * PARTS // epochs > (epoch - 1) * PARTS // epochs:
            is_shown = True
        if is_last:
            self.before, self.place = self.before + epochs, None
            self.live.refresh()  # or the line would be printed above what is shown of the stage
        if is_shown:
            *others, loss = self._numbers(record, "5.2f", "{:,.0f}".format)
            self._print(stage, epoch, epochs, " ".join((f"{loss:<11}", *others)))

    def frame(self) -> RenderableType:
        """The current stage in two lines of the terminal's width. Of the second, what fits."""
        place, numbers, width = self.place, self.numbers, self.console.width
        if place is None:
            return ""
        title = f"{place.stage} {place.epoch}/{place.epochs}"
        left, speed = place.left(self.epochs), place.speed()
        bar = width - len(title) - len(left) - 2
        if bar > LEAST_BAR + len(speed):
            left, bar = f"{speed} {left}", bar - len(speed) - 1
        else:
            numbers = [speed, *numbers]
        if bar < 1:
            first = Text(title, no_wrap=True, overflow="crop")
            numbers = [left, *numbers]
        else:
            first = Table.grid(padding=(0, 1))
            done = ProgressBar(place.iterations, place.iteration, bar)
            first.add_row(Text(title), done, Text(left))
        numbers = [*numbers, f"iteration {place.iteration} of {place.iterations}"]
        fitting = [line for line in accumulate(numbers, "{} {}".format) if len(line) <= width]
        return Group(first, fitting[-1] if fitting else "")

    def _move(self, stage, epoch, epochs, iteration, iterations, images) -> None:
        now, last = self.clock(), self.place
        if last is None or (last.stage, last.epoch) != (stage, epoch):
            self.began, self.due = now, now + LONG
        if last is None or last.stage != stage:
            self.before += last.epochs if last else 0
            self.numbers = []
            start = epoch - 1 + iteration / iterations
            last = Place(stage, epoch, epochs, 0, 1, self.before, -images, start, now, now)
        self.place = last._replace(
            epoch=epoch, iteration=iteration, iterations=iterations, images=last.images + images,
            now=now,
        )  # fmt: skip

    def _print(self, stage: str, epoch: int, epochs: int, numbers: str) -> None:
        line = f"{stage:>9} {epoch:>3}/{epochs}  {numbers}"
        self.console.print(line, soft_wrap=not self.console.is_interactive)

    def _numbers(self, record: dict, digits: str, number: Callable[[float], str]) -> list[str]:
        """Of the images held out for validation if there are any, else of the test images."""
        accuracy = record["accuracy_val" if "accuracy_val" in record else "accuracy_test"]
        budget = [] if record["b"] is None else [f"budget {number(record['b'])}"]
        cost = f"{self.metric} {number(record['cost'])}"
        return [f"acc {100 * accuracy:{digits}} %", cost, *budget, f"loss {record['loss']:.4g}"]


def _short(n: float, digits: int = 4) -> str:
    """At most six characters: 9,999, 11.78k, 785.2M."""
    if not 10**digits - 0.5 <= n < math.inf:
        return f"{n:,.{digits}g}"
    exponent = min(int(math.log10(round(n))) // 3, 4)
    return f"{n / 1000**exponent:.{digits}g}{'kMGT'[exponent - 1]}"
