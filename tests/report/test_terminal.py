"""The console, and the live display of a run."""

import os
from io import StringIO

import pytest
from rich.table import Table

from tinybar.report.terminal import Display, PlainConsole, plain_console

NAME = "my[old] [/x] :cat: \x1b[31m\u202e\n"
SHOWN = "my[old] [/x] :cat: \\x1b[31m\\u202e\\n"


def record(**changes) -> dict:
    base = {"stage": "prune", "epoch": 1, "epochs": 40, "loss": 1.25, "accuracy_test": 0.5}
    return base | {"cost": 12_345, "b": 987.6} | changes


class Clock:
    """Time goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def display_of(width=120, epochs=40, terminal=False) -> Display:
    console = PlainConsole(
        file=StringIO(), width=width, force_terminal=terminal, force_interactive=terminal,
        color_system=None,
    )  # fmt: skip
    return Display(console, "volume", epochs, Clock())


def printed(*records) -> list[str]:
    """The lines of a display without a terminal."""
    with display_of() as display:
        for entry in records:
            display(entry)
    return display.console.file.getvalue().splitlines()


def frame(display: Display) -> list[str]:
    """What the display shows now."""
    with display.console.capture() as capture:
        display.console.print(display.frame())
    return [line.rstrip() for line in capture.get().splitlines()]


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


# --- a log ---------------------------------------------------------------------------------------


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


def test_an_epoch_of_minutes_has_lines_of_its_own():
    """After one, two, four and eight minutes; each epoch anew; an epoch below a minute has none."""
    with display_of(width=40) as display:
        for epoch, seconds in ((1, 6), (2, 0.5), (3, 1)):
            for iteration in range(101):
                display.step("teacher", epoch, 4, iteration, 100, 64 * (iteration > 0))
                display.clock.now += seconds
            display(record(stage="teacher", epoch=epoch, epochs=4))
    lines = display.console.file.getvalue().splitlines()
    iterations = [int(line.split()[3]) for line in lines if "iteration" in line]
    assert iterations == [10, 20, 40, 80, 60]
    assert lines[0] == "  teacher   1/4  iteration 10 of 100, 10.7 images/s, 6:39:00 left"


# --- a terminal ----------------------------------------------------------------------------------


def running(width: int, **changes) -> Display:
    """In the middle of epoch 3 of 18 of pruning, after 8 of 34 epochs, with 2 s an epoch."""
    display = display_of(width, 34, terminal=True)
    display.step("teacher", 8, 8, 1, 1, 0)  # completed earlier
    for epoch in (1, 2):
        display.step("prune", epoch, 18, 0, 100, 0)
        display.clock.now += 2
        display.step("prune", epoch, 18, 100, 100, 4321)
        display(record(epoch=epoch, epochs=18, **changes))
    display.step("prune", 3, 18, 0, 100, 0)
    display.clock.now += 1
    display.step("prune", 3, 18, 50, 100, 2160)
    return display


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (80, ["prune 3/18 ━ 2.16k images/s 0:00:47 left",
              "acc 50.0 % volume 12.35k budget 987.6 loss 1.25 iteration 50 of 100"]),
        (60, ["prune 3/18 ━ 2.16k images/s 0:00:47 left",
              "acc 50.0 % volume 12.35k budget 987.6 loss 1.25"]),
        (40, ["prune 3/18 ━ 0:00:47 left", "2.16k images/s acc 50.0 % volume 12.35k"]),
    ],
)  # fmt: skip
def test_two_lines_have_what_matters_at_any_width(width, lines):
    first, second = frame(running(width))
    assert len(first) == width
    bar = first.count("━") + first.count("╸")
    room = width - len(lines[0]) + 1
    assert bar == -(-room // 2)  # half of the epoch
    assert " ".join(first.replace("╸", "━").split()).replace("━" * bar, "━") == lines[0]
    assert second == lines[1]


@pytest.mark.parametrize("width", [*range(1, 40), 1000])
def test_no_width_makes_a_third_line(width):
    lines = frame(running(width, cost=10**15, b=1e15))
    assert len(lines) <= 2
    assert max(map(len, lines)) <= width


def test_the_first_epoch_is_seen():
    display = display_of(60, 4, terminal=True)
    assert frame(display) == [""]
    display.step("teacher", 1, 2, 0, 100, 0)
    assert frame(display)[0].startswith("teacher 1/2 ")
    assert frame(display)[0].endswith(" - images/s -:--:-- left")
    assert frame(display)[1] == "iteration 0 of 100"
    display.clock.now = 2
    display.step("teacher", 1, 2, 10, 100, 640)
    assert frame(display)[0].endswith(" 320 images/s 0:01:18 left")


def test_a_stage_that_is_resumed_is_timed_from_there():
    display = display_of(80, 20, terminal=True)
    display.step("prune", 3, 10, 60, 100, 64)
    display.clock.now = 4
    display.step("prune", 3, 10, 80, 100, 128)
    assert frame(display)[0].endswith(" 32 images/s 0:05:44 left")  # 17.2 epochs of 20 s


def test_more_epochs_than_expected_leave_no_time():
    display = display_of(80, 1, terminal=True)
    for epoch in (1, 2):
        display.clock.now += 1
        display(record(epoch=epoch))
    assert " 0:00:00 left" in frame(display)[0]


def test_a_stage_leaves_a_line():
    with display_of(80, 4, terminal=True) as display:
        display.step("teacher", 1, 1, 9, 9, 64)
        display.live.refresh()
        display(record(stage="teacher", b=None, epochs=1))
        assert display.frame() == ""
        display.step("prune", 1, 3, 0, 9, 0)
    out = display.console.file.getvalue()
    seen, line, after = out.partition("  teacher   1/1  loss 1.25   acc 50.00 % volume 12,345")
    assert "teacher 1/1 " in seen
    assert line
    assert "teacher 1/1 " not in after
    assert "prune 1/3 " in after  # where it stopped


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (9999, "9,999"), (9999.7, "10k"), (11_776, "11.78k"), (785_219_584, "785.2M"),
        (1e16, "1e+04T"), (float("inf"), "inf"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_costs_are_shortened(cost, text):
    assert f" volume {text} budget {text} " in frame(running(80, cost=cost, b=cost))[1]
