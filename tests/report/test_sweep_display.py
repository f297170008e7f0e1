"""The table of a sweep shows what is at work, and what is left by the pace of each job."""

from io import StringIO
from types import SimpleNamespace

import pytest

from tinybar.report.sweep_display import SweepDisplay, epochs_of, job_list
from tinybar.report.terminal import PlainConsole
from tinybar.runtime.locks import locked
from tinybar.sweep.grid import load_grid
from tinybar.sweep.job import Outcome, fail
from tinybar.sweep.run import Sweep

GRID = """
[grid]
method = ["bar", "scratch"]
budget = ["4x", "16x"]
seed = [0, 1]
[options]
model = "wrn-10-1"
epochs = [6, 3, 1]
teacher_epochs = 6
"""


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "grid.toml").write_text(GRID)
    sweep = Sweep(tmp_path / "out", load_grid(str(tmp_path / "grid.toml")))
    sweep.make()
    return sweep


def display_of(sweep, width=80, terminal=True):
    console = PlainConsole(
        file=StringIO(), width=width, force_terminal=terminal, force_interactive=terminal,
        color_system=None,
    )  # fmt: skip
    clock = SimpleNamespace(now=0.0)
    display = SweepDisplay(console, sweep, lambda: clock.now)
    return display, clock


def frame(display) -> list[str]:
    with display.console.capture() as capture:
        display.console.print(display.frame())
    return [line.rstrip() for line in capture.get().splitlines()]


def train(sweep, name, epochs, worker="node\x1b7"):
    """As far as the display looks: so many epochs of the job, on a worker."""
    folder = sweep.folders[name]
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("{}\n" * epochs)
    folder.with_name(f"{name}.worker").write_text(worker)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_row_for_each_job_that_a_worker_has(sweep, width):
    display, clock = display_of(sweep, width)
    one, two = sweep.runs[:2]
    sweep.running |= {*sweep.runs}  # all are queued, one is begun
    train(sweep, one, 2)
    with locked(sweep.folders[one].with_name(f"{one}.lock")):
        display(sweep, None)
        clock.now = 60
        train(sweep, one, 5)
        lines = frame(display)
        assert lines[0] == "0 of 8 runs"
        assert len(lines) == 3
        assert lines[2].split() == [one, "node\\x1b7", "5/10", "0:01:40"]  # 3 epochs in a minute
        assert all(len(line) <= width for line in lines)
    assert two not in "".join(lines)
    assert len(frame(display)) == 2


def test_without_a_terminal_a_line_as_a_job_begins_and_ends(sweep):
    display, clock = display_of(sweep, terminal=False)
    (name, bad), teacher = sweep.runs[:2], sweep.teacher_of[sweep.runs[0]]
    with display:
        train(sweep, name, 0, "node7")
        with locked(sweep.folders[name].with_name(f"{name}.lock")):
            display(sweep, None)
            display(sweep, None)
        (sweep.folders[name] / "result.json").write_text("{}")
        clock.now = 10
        display(sweep, Outcome(name))
        display(sweep, fail(sweep.folders[bad], bad, "no\n[/x]"))
        display(sweep, Outcome(teacher))
    assert display.console.file.getvalue().splitlines() == [
        f"{name} is at work on node7",
        f"{name} finished, 1 of 8 runs, 0:01:10 left",
        f"{bad} failed: no\\n[/x], 1 of 8 runs, 1 failed, 0:00:30 left",
        f"{teacher} finished, 1 of 8 runs, 1 failed, 0:00:30 left",
    ]


def test_the_list_of_jobs(sweep):
    fail(sweep.folders[sweep.runs[1]], "", "reason")
    train(sweep, sweep.runs[0], 1)
    (sweep.folders[sweep.runs[0]] / "result.json").write_text("{}")
    lines = job_list(sweep)
    assert [line.split(maxsplit=1)[1] for line in lines[:3]] == [
        "finished", "failed: reason", "waiting"
    ]  # fmt: skip


def test_the_epochs_of_a_job(sweep):
    assert epochs_of(sweep, sweep.runs[0]) == 10  # with the teacher of another job
    assert epochs_of(sweep, sweep.teacher_of[sweep.runs[0]]) == 6
