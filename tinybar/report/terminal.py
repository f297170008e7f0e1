"""The console of every command, and the live display of a run."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..runtime import memory
from .place import Course, Place
from .text import duration, shown

LONG = 60.0  # without a terminal, an epoch has lines after so many seconds, twice as many, four ...
FIRST = 5.0  # the first epoch of all has its first line, with an estimate of the time, earlier
ENOUGH = 10  # iterations, by which the time of the run is estimated
LEAST_BAR = 10  # columns
UNDER_A_BUDGET = (
    "While the budget falls, accuracy may be near chance for many epochs, and the loss is high: it "
    "holds the pressure of the budget, which jumps where the {} meets it, and distillation, "
    "which does not go to 0. That is normal: the accuracy after fine-tuning counts."
)


class PlainConsole(Console):
    """A console to which a string is text: no markup, no emoji, no highlighting.

    What cannot be seen as it is is escaped, also in tables: a name can do no more than be shown.
    """

    def render_str(
        self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: object
    ) -> Text:
        """The string as rich's Text: rich calls this for each that it prints."""
        return Text(shown(text), style, justify=justify, overflow=overflow)


def plain_console() -> PlainConsole:
    """The console on stdout. It is as wide as COLUMNS says, if that is a width, or the terminal."""
    width = height = None  # those of the terminal, which may change
    if os.environ.keys() & {"COLUMNS", "LINES"}:
        width, height = shutil.get_terminal_size()
    # FORCE_COLOR is about colours: lines that are written over do not belong in a file.
    is_file = sys.stdout is None or not sys.stdout.isatty()
    return PlainConsole(
        width=width,
        height=height,
        force_interactive=False if is_file else None,
        force_jupyter=False,  # in a notebook, too, lines are text: not each an HTML of its own
    )


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """In the block, say what is done and for how long; elsewhere than on a terminal, in a line."""
    if not console.is_interactive:
        console.print(f"{what} ...", soft_wrap=True)
        yield
        return
    began = time.monotonic()
    with Live(
        console=console, transient=True,
        get_renderable=lambda: _cropped(f"{what} ... {duration(time.monotonic() - began)}"),
    ):  # fmt: skip
        yield


class Display:
    """Shows how far a run is. Call `step` for each step, the display for the record of each epoch.

    On a terminal, the last two lines show the current stage, and each stage leaves a line when it
    is complete. Elsewhere, a line is printed for each epoch. Use as a context.

    metric: the name of the cost that the budget limits. epochs: of all stages together. clock: in
    seconds. used: the bytes of memory in use, or None.
    """

    def __init__(
        self,
        console: Console,
        metric: str,
        epochs: int,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], int | None] = memory.in_use,
    ):
        self.console: Console = console
        self.metric: str = metric
        self.epochs: int = epochs
        self.clock: Callable[[], float] = clock
        self.used: Callable[[], int | None] = used
        self.course: Course = Course(clock)
        self.numbers: list[str] = []  # of the last epoch, the most important first
        self.opened = self.idle = clock()  # idle: since when no stage is trained
        self.memory: int | None = None  # in use when it was asked for
        self.asked: Any = -math.inf
        self.patience: Any = FIRST
        self.is_estimated: bool = False
        self.is_explained: bool = False
        self.live: Any = Live(console=console, get_renderable=self.frame, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_interactive:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()
        if self.console.is_interactive and self.course.place is not None:
            self.console.print(self.frame())  # where it was interrupted

    def step(
        self, stage: str, epoch: int, epochs: int, iteration: int, iterations: int, images: int
    ) -> None:
        """So many iterations of the epoch (1, 2, ... of the stage) are done, the last on `images`.

        Call it with iteration 0 when an epoch begins, and with the last one of the last epoch for a
        stage that an earlier process had completed.
        """
        place = self._move(stage, epoch, epochs, iteration, iterations, images)
        left = self._left(place)
        if place.steps > ENOUGH and not self.is_estimated:
            self.is_estimated = True
            self.console.print(f"estimated by the first {ENOUGH} iterations: {left} of the run")
        if not self.console.is_interactive and iteration and place.now >= self.due:
            while place.now >= self.due:
                self.due += self.due - self.began
            numbers = [f"iteration {iteration} of {iterations},", f"{_speed(place)},", left]
            self._print(stage, epoch, epochs, numbers)

    def note(self, line: str) -> None:
        """Print a line, above what is live."""
        self.console.print(line, soft_wrap=True)

    def warn(self, line: str) -> None:
        """Print a warning, above what is live."""
        text = Text(shown(f"warning: {line}"), "bold red")
        self.console.print(text, soft_wrap=not self.console.is_interactive)

    def __call__(self, record: dict[str, Any]) -> None:
        stage, epoch, epochs = record["stage"], record["epoch"], record["epochs"]
        left = self._left(self._move(stage, epoch, epochs, 1, 1, 0))
        self.patience, is_live = LONG, self.console.is_interactive
        self.numbers = self._numbers(record, ".1f", _short)
        if epoch == epochs:
            self.course.end(epochs)
            self.idle = self.clock()
            if is_live:
                self.live.refresh()  # or the line would be printed above what is shown of the stage
        if record["b"] is not None and not self.is_explained:
            self.is_explained = True
            self.console.print(UNDER_A_BUDGET.format(self.metric))
        if epoch == epochs or not is_live:
            number = _short if is_live else "{:,.0f}".format
            *others, loss = self._numbers(record, "5.2f", number)
            self._print(stage, epoch, epochs, [f"{loss:<11}", *others, *[left] * (not is_live)])

    def frame(self) -> RenderableType:
        """The current stage in two lines of the terminal's width. Of the second, what fits."""
        place, numbers, width = self.course.place, self.numbers, self.console.width
        if place is None:
            done = self.course.before
            what = f"after {done} of {self.epochs} epochs, preparing what follows"
            return _cropped(f"{what if done else 'preparing'} ... {self._since(self.idle)}")
        is_trained = place.iteration == place.iterations
        state = " testing" if is_trained and place.steps else ""
        title = f"{place.stage} {place.epoch}/{place.epochs}{state}"
        left, speed = self._left(place), _speed(place)
        bar = width - len(title) - len(left) - 2
        if bar > LEAST_BAR + len(speed):
            left, bar = f"{speed} {left}", bar - len(speed) - 1
        else:
            numbers = [speed, *numbers]
        first: RenderableType = _cropped(title)
        if bar < 1:
            numbers = [left, *numbers]
        else:
            first = row = Table.grid(padding=(0, 1))
            drawn = ProgressBar(place.iterations, place.iteration, bar)
            row.add_row(Text(title), drawn, Text(left))
        used: list[str] = [] if self.memory is None else [_bytes(self.memory)]
        numbers = [*numbers, *used, f"iteration {place.iteration} of {place.iterations}"]
        if not (place.steps or is_trained):  # it may take a while
            numbers = [f"first step ... {self._since(place.since)}", *numbers]
        return Group(first, _fitting(numbers, width))

    def _since(self, moment: float) -> str:
        return duration(self.clock() - moment)

    def _move(
        self, stage: str, epoch: int, epochs: int, iteration: int, iterations: int, images: int
    ) -> Place:
        last, place = (
            self.course.place,
            self.course.move(stage, epoch, epochs, iteration, iterations, images),
        )
        if place.now - self.asked >= 1:  # not in `frame`, whose thread may have another GPU
            self.memory, self.asked = self.used(), place.now
        if last is None or (last.stage, last.epoch) != (stage, epoch):
            self.began, self.due = place.now, place.now + self.patience
        if last is None or last.stage != stage:
            self.numbers = []
        return place

    def _left(self, place: Place) -> str:
        seconds = place.left(self.epochs)
        return f"{'-:--:--' if seconds is None else duration(seconds)} left"

    def _print(self, stage: str, epoch: int, epochs: int, numbers: list[str]) -> None:
        """A line with the time since the beginning; on a terminal, as much as fits."""
        line = [f"{self._since(self.opened)} {stage:>9} {epoch:>3}/{epochs} ", *numbers]
        if self.console.is_interactive:
            self.console.print(_fitting(line, self.console.width))
        else:
            self.console.print(" ".join(line), soft_wrap=True)

    def _numbers(
        self, record: dict[str, Any], digits: str, number: Callable[[float], str]
    ) -> list[str]:
        """Of the images held out for validation if there are any, else of the test images."""
        accuracy = record["accuracy_val" if "accuracy_val" in record else "accuracy_test"]
        budget = [] if record["b"] is None else [f"budget {number(record['b'])}"]
        cost = f"{self.metric} {number(record['cost'])}"
        return [f"acc {100 * accuracy:{digits}} %", cost, *budget, f"loss {record['loss']:.4g}"]


def _cropped(line: str) -> Text:
    return Text(shown(line), no_wrap=True, overflow="crop")


def _fitting(words: list[str], width: int) -> Text:
    """As many of the words as fit into a line, from the first on."""
    lines = [line for line in accumulate(words, "{} {}".format) if len(line) <= width]
    return _cropped(lines[-1] if lines else words[0])


def _speed(place: Place) -> str:
    speed = place.speed()
    return f"{'-' if speed is None else _short(speed, 3)} images/s"


def _bytes(n: int) -> str:
    return f"{n / 2**30:.2f} GiB" if n >= 2**30 else f"{n / 2**20:.0f} MiB"


def _short(n: float, digits: int = 4) -> str:
    """At most six characters: 9,999, 11.78k, 785.2M."""
    if not 10**digits - 0.5 <= n < math.inf:
        return f"{n:,.{digits}g}"
    exponent = min(int(math.log10(round(n))) // 3, 4)
    return f"{n / 1000**exponent:.{digits}g}{'kMGT'[exponent - 1]}"
