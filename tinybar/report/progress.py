"""The live view of a run: a bar per stage, with what one wants to watch."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

SIGNS = {"volume": "V", "flops": "F", "params": "P"}  # of the metrics
EVERY = 10  # without a terminal: a line for every tenth of a stage


class Display:
    """Shows records of epochs, as `train` hands them out. Use as a context."""

    def __init__(self, console: Console, budget: int, metric: str):
        self.console, self.budget, self.metric = console, budget, metric
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
            if epoch in (1, epochs) or epoch * EVERY // epochs > (epoch - 1) * EVERY // epochs:
                self.console.print(f"{stage:>9} {epoch:>3}/{epochs}  {numbers}", highlight=False)
            return
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=epochs, numbers="")
        self.bars.update(self.tasks[stage], completed=epoch, numbers=numbers)

    def _numbers(self, record: dict) -> str:
        text = (
            f"loss {record['loss']:<7.4g} accuracy {100 * _accuracy(record):5.2f} %  "
            f"{SIGNS[self.metric]} {record['volume']:,}"
        )
        if record["b"] is not None:
            text += f"  b {record['b']:,.0f}  B {self.budget:,}"
        return text


def _accuracy(record: dict) -> float:
    """On the images held out for validation, or else on the test images."""
    return record["accuracy_val"] if "accuracy_val" in record else record["accuracy_test"]
