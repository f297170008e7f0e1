"""The console, and the live display of a run."""

import os
from io import StringIO

import pytest
from rich.table import Table

from tinybar.report.terminal import Display, PlainConsole, plain_console, waiting

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
    return Display(console, "volume", epochs, Clock(), used=lambda: None)


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


def test_what_takes_long_has_a_line_in_a_file():
    console = display_of(width=40).console
    with waiting(console, f"reading {NAME}"):
        assert console.file.getvalue() == f"reading {SHOWN} ...\n"
    assert console.file.getvalue().count("\n") == 1


def test_what_takes_long_is_seen_on_a_terminal_while_it_lasts():
    console = display_of(width=40, terminal=True).console
    with waiting(console, f"reading {NAME}"):
        pass
    first, *others = console.file.getvalue().split("\r")
    assert f"reading {SHOWN} ... 0:00:0"[:40] in first
    assert others[-1].endswith("\x1b[2K")  # erased
    with pytest.raises(ValueError, match="damaged"), waiting(console, "reading"):
        raise ValueError("damaged")


def test_in_a_notebook_lines_are_text(monkeypatch):
    """rich would make HTML of each, and warn that it lacks widgets."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    console = plain_console()
    assert not console.is_jupyter
    assert not console.is_interactive


# --- a log ---------------------------------------------------------------------------------------


def test_without_a_terminal_there_is_a_line_for_every_epoch():
    """With the time since the beginning, and the time left."""
    with display_of(epochs=3) as display:
        for epoch in (1, 2, 3):
            display.step("teacher", epoch, 3, 0, 2, 0)
            for iteration in (1, 2):
                display.clock.now += 40 - 39 * (epoch == 3)
                display.step("teacher", epoch, 3, iteration, 2, 64)
            display(record(stage="teacher", epoch=epoch, epochs=3, b=None))
    lines = [line for line in display.console.file.getvalue().splitlines() if "iter" not in line]
    assert lines == [
        "0:01:20   teacher   1/3  loss 1.25   acc 50.00 % volume 12,345 0:02:40 left",
        "0:02:40   teacher   2/3  loss 1.25   acc 50.00 % volume 12,345 0:01:20 left",
        "0:02:42   teacher   3/3  loss 1.25   acc 50.00 % volume 12,345 0:00:00 left",
    ]


def test_once_it_is_said_why_numbers_under_a_budget_look_as_they_do():
    lines = printed(record(stage="teacher", b=None), record(), record(epoch=2))
    words, others = lines[1:-2], [lines[0], *lines[-2:]]
    assert "chance" in words[0]
    assert "where the volume meets it" in " ".join(words)
    assert [line.split()[1:3] for line in others] == [
        ["teacher", "1/40"], ["prune", "1/40"], ["prune", "2/40"]
    ]  # fmt: skip
    assert others[1].endswith("acc 50.00 % volume 12,345 budget 988 -:--:-- left")


def test_the_accuracy_on_held_out_images_comes_first():
    (line,) = printed(record(accuracy_val=0.25, accuracy_test=None, b=None))
    assert "acc 25.00 %" in line


def test_an_epoch_of_minutes_has_lines_of_its_own():
    """After one, two, four and eight minutes, each epoch anew; the first epoch of all earlier."""
    with display_of(width=80) as display:
        for epoch, seconds in ((1, 6), (2, 0.5), (3, 1)):
            for iteration in range(101):
                display.step("teacher", epoch, 4, iteration, 100, 64 * (iteration > 0))
                display.clock.now += seconds
            display(record(stage="teacher", epoch=epoch, epochs=4))
    lines = display.console.file.getvalue().splitlines()
    iterations = [int(line.split()[4]) for line in lines if ", " in line and "iteration" in line]
    assert iterations == [1, 2, 4, 7, 14, 27, 54, 60]
    assert [line for line in lines if "estimated" in line] == [
        "estimated by the first 10 iterations: 6:38:54 left of the run"
    ]
    start = "   teacher   1/4  iteration"
    assert lines[0] == f"0:00:06{start} 1 of 100, - images/s, -:--:-- left"
    assert lines[1] == f"0:00:12{start} 2 of 100, 10.7 images/s, 6:39:48 left"


def test_a_step_that_takes_minutes_has_one_line():
    with display_of() as display:
        for iteration in (0, 1):
            display.step("teacher", 1, 4, iteration, 100, 64 * iteration)
            display.clock.now += 400
        display.step("teacher", 1, 4, 2, 100, 64)
    lines = display.console.file.getvalue().splitlines()
    assert [line.split()[4] for line in lines] == ["1", "2"]


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


def test_the_first_epoch_is_seen_from_the_first_second():
    display = display_of(60, 4, terminal=True)
    display.clock.now = 1
    assert frame(display) == ["preparing ... 0:00:01"]
    display.step("teacher", 1, 2, 0, 100, 0)
    assert frame(display)[0].startswith("teacher 1/2 ")
    assert frame(display)[0].endswith(" - images/s -:--:-- left")
    display.clock.now = 10
    assert frame(display)[1] == "first step ... 0:00:09 iteration 0 of 100"
    display.step("teacher", 1, 2, 1, 100, 64)
    assert frame(display)[0].endswith(" - images/s -:--:-- left")
    assert frame(display)[1] == "iteration 1 of 100"


def test_the_first_step_does_not_count():
    display = display_of(80, 1, terminal=True)
    display.step("teacher", 1, 1, 0, 101, 0)
    for seconds, iteration in ((20, 1), (1, 2), (1, 3)):
        display.clock.now += seconds
        display.step("teacher", 1, 1, iteration, 101, 64)
    assert frame(display)[0].endswith(" 64 images/s 0:01:38 left")


def test_what_follows_the_last_step_of_an_epoch_is_told():
    display = display_of(80, 4, terminal=True)
    for iteration in (0, 1, 2):
        display.step("teacher", 1, 1, iteration, 2, 64)
    assert frame(display)[0].startswith("teacher 1/1 testing ")
    display(record(stage="teacher", b=None, epochs=1))
    display.clock.now += 75
    assert frame(display) == ["after 1 of 4 epochs, preparing what follows ... 0:01:15"]


@pytest.mark.parametrize(("used", "text"), [(3 * 2**29, "1.50 GiB"), (7 * 2**20, "7 MiB")])
def test_memory_is_shown(used, text):
    display = running(80)
    display.used = lambda: used
    display.clock.now += 0.5
    display.step("prune", 3, 18, 50, 100, 0)
    assert "iB " not in frame(display)[1]  # asked once a second
    display.clock.now += 0.5
    display.step("prune", 3, 18, 50, 100, 0)
    assert frame(display)[1].endswith(f" loss 1.25 {text} iteration 50 of 100")


def test_a_stage_that_is_resumed_is_timed_from_there():
    display = display_of(80, 20, terminal=True)
    display.step("prune", 3, 10, 40, 100, 64)
    display.clock.now = 30
    display.step("prune", 3, 10, 60, 100, 64)
    display.clock.now = 34
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
        display.live.refresh()
        display.step("prune", 1, 3, 0, 9, 0)
    out = display.console.file.getvalue()
    seen, line, after = out.partition("  teacher   1/1  loss 1.25   acc 50.00 % volume 12.35k")
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
