"""The live display of a run."""

import os
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from tinybar.report.terminal import Display, PlainConsole, plain_console

NAME = "my[old] [/x] :cat: \x1b[31m\u202e\n"
SHOWN = "my[old] [/x] :cat: \\x1b[31m\\u202e\\n"


def record(**changes) -> dict:
    base = {"stage": "prune", "epoch": 1, "epochs": 40, "loss": 1.25, "accuracy_test": 0.5}
    return base | {"cost": 12_345, "b": 987.6} | changes


def printed(*records) -> list[str]:
    """The lines of a display without a terminal."""
    console = Console(file=StringIO(), width=120)
    with Display(console, "volume") as display:
        for entry in records:
            display(entry)
    return console.file.getvalue().splitlines()


def test_without_a_terminal_there_is_a_line_for_every_tenth():
    lines = printed(*(record(epoch=epoch) for epoch in range(1, 41)))
    assert [line.split()[1] for line in lines] == [
        f"{epoch}/40" for epoch in (1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40)
    ]
    assert " ".join(lines[0].split()) == "prune 1/40 loss 1.25 acc 50.00 % volume 12,345 budget 988"


def test_without_a_barrier_no_budget_is_shown():
    (line,) = printed(record(b=None, stage="teacher", epochs=1))
    assert line.endswith("volume 12,345")


def test_the_accuracy_on_held_out_images_comes_first():
    (line,) = printed(record(accuracy_val=0.25, accuracy_test=None))
    assert "acc 25.00 %" in line


@pytest.mark.parametrize(
    ("cost", "text"),
    [(9999, "9,999"), (11_776, "11.78k"), (785_219_584, "785.2M"), (1e16, "1e+04T")],
)
def test_on_a_terminal_there_is_a_bar_for_every_stage(cost, text):
    """With costs shortened, and for a metric of any name."""
    console = Console(file=StringIO(), width=80, force_terminal=True)
    with Display(console, "energy") as display:
        display(record(stage="teacher", b=None))
        display(record(epoch=7, cost=cost, b=cost))
        assert set(display.tasks) == {"teacher", "prune"}
        (task,) = [t for t in display.bars.tasks if t.description == "prune"]
        assert (task.completed, task.total) == (7, 40)
        assert task.fields["numbers"].endswith(f"% energy {text} budget {text}")
    assert "…" not in console.file.getvalue()


# --- the console ---------------------------------------------------------------------------------


def test_names_are_printed_as_they_are_everywhere():
    table = Table(NAME, title=NAME)
    table.add_row(NAME)
    table.caption = NAME
    console = PlainConsole(file=StringIO(), width=60, force_terminal=True)
    console.print(NAME, table)
    assert console.file.getvalue().count(SHOWN) == 5


@pytest.mark.parametrize("columns", ["0", "²", "wide", ""])
def test_columns_that_are_no_width_are_ignored(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "0")
    assert plain_console().width == 80


def test_columns_are_the_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "47")
    assert plain_console().width == 47


@pytest.mark.parametrize(
    ("environ", "is_interactive"),
    [({}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True)],
)
def test_lines_are_written_over_on_a_terminal(environ, is_interactive, monkeypatch):
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stdout:
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdout", stdout)
        assert plain_console().is_interactive == is_interactive
    os.close(master)


def test_lines_are_not_written_over_in_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not plain_console().is_interactive
