"""The processes of the engines, and their turns."""

import os
import sys

import pytest

from tinybar.bench import runner
from tinybar.bench.runner import LEAST_ROUNDS, Turn, Worker, WorkerError, compare, interleave
from tinybar.cli import main

from .common import TINY, tiny


def test_a_worker_has_its_threads_and_answers_in_order(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with Worker("tinybar-numpy", 1) as worker:
        assert worker.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert worker.environ["TINYBAR_FAST"] == "off"
        for name in "ab":
            worker.ask("prepare", name=name, case=tiny(batch_size=2).as_dict(), seconds=0.0)
        assert len(worker.run("a")(3, 1)) == 3
        assert len(worker.run("b")(1, 0)) == 1
        with pytest.raises(WorkerError, match=r"tinybar-numpy: KeyError: 'c'"):
            worker.run("c")(1, 0)
        assert worker.ask("forget") == {}


def test_an_error_in_a_process_is_one_line():
    broken = tiny().as_dict() | {"network": "wrn-11-1"}
    with Worker("tinybar", 1) as worker, pytest.raises(WorkerError, match="depth 6n"):
        worker.ask("prepare", name="x", case=broken, seconds=0.0)


def test_a_process_that_dies_is_one_line(capsys, monkeypatch):
    with Worker("tinybar", 1) as worker:
        os.kill(worker._process.pid, 9)
        with pytest.raises(WorkerError, match="process of tinybar was killed by signal 9"):
            worker.ask("peak")

    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # no Python starts with that
    assert main(["bench", *TINY, "--peers", ""]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tinybar: error: the process of tinybar ended with exit code")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_each_process_has_its_own_peak_memory():
    small, large = tiny(batch_size=2), tiny(batch_size=2048)
    measured = compare({"small": ("tinybar", small), "large": ("tinybar", large)}, 0.01)
    images = 2048 * 8 * 8 * 16 * 4  # bytes of the activations of a convolution of 16 channels
    assert measured["large"].peak > measured["small"].peak + images
    assert all(0 < m.resident <= m.peak for m in measured.values())


def test_turns_alternate_and_no_long_step_goes_unmeasured(monkeypatch):
    monkeypatch.setattr(runner, "REST", 0.0)
    calls = []

    def turn(name, step):
        def run(steps, unmeasured):
            calls.append((name, steps, unmeasured))
            return [step] * steps

        return Turn(run, step, name)

    rounds = interleave({"a": turn("a", 0.05), "b": turn("b", 2.0)}, 1e-9)
    assert calls == [("a", 1, 1), ("b", 1, 0)] * LEAST_ROUNDS
    assert rounds == {"a": [[0.05]] * LEAST_ROUNDS, "b": [[2.0]] * LEAST_ROUNDS}
