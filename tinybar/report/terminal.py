"""The console of every command, and the live display of a run."""

from __future__ import annotations

import math
import os
import shutil
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from .text import shown

PARTS = 10  # without a terminal, a line is printed for every tenth of a stage


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


class Display:
    """Shows the records of epochs that `train` hands out. Use as a context.

    metric: the name of the cost that the budget limits.
    """

    def __init__(self, console: Console, metric: str):
        self.console, self.metric = console, metric
        self.bars = Progress(
            TextColumn("{task.description:>9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>3}/{task.total}"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> Display:
        self.bars.start()
        return self

    def __exit__(self, *_) -> None:
        self.bars.stop()

    def __call__(self, record: dict) -> None:
        stage, epoch, epochs = record["stage"], record["epoch"], record["epochs"]
        numbers = self._numbers(record)
        if not self.console.is_terminal:
            if epoch in (1, epochs) or epoch * PARTS // epochs > (epoch - 1) * PARTS // epochs:
                self.console.print(f"{stage:>9} {epoch:>3}/{epochs}  {numbers}", soft_wrap=True)
            return
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=epochs, numbers="")
        self.bars.update(self.tasks[stage], completed=epoch, numbers=numbers)

    def _numbers(self, record: dict) -> str:
        number = _short if self.console.is_terminal else "{:,.0f}".format
        accuracy = 100 * _accuracy(record)
        text = f"loss {record['loss']:<6.4g} acc {accuracy:5.2f} % {self.metric} "
        text += number(record["cost"])
        return text if record["b"] is None else f"{text} budget {number(record['b'])}"


def _short(n: float) -> str:
    """At most six characters: 9,999, 11.78k, 785.2M."""
    if n < 1e4:
        return f"{n:,.4g}"
    exponent = min(int(math.log10(n)) // 3, 4)
    return f"{n / 1000**exponent:.4g}{'kMGT'[exponent - 1]}"


def _accuracy(record: dict) -> float:
    """On the images held out for validation if there are any, else on the test images."""
    return record["accuracy_val"] if "accuracy_val" in record else record["accuracy_test"]
