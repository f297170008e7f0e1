"""Real processes that are killed, interrupted, or run out of disk, and resume bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tinybar.runtime.files import load_arrays

OPTIONS = [
    "--data", "rows", "--model", "wrn-10-1", "--budget", "4x", "--batch-size", "32",
    "--epochs", "2", "1", "1", "--teacher-epochs", "2",
]  # fmt: skip
STAGES = ["teacher", "teacher", "prune", "prune", "fine-tune", "fine-tune"]
PATIENCE = 120  # seconds until a process that does nothing is given up

# The child keeps to the signals' meaning whatever its parent did with them, and says what `main`
# returned. argv: the largest file it may write in bytes (0: any size), then tinybar's arguments.
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
limit = int(sys.argv[1])
if limit:
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from tinybar.cli import main
code = main(sys.argv[2:])
print("returned", code)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where all processes run: a folder with a small data set, of bright rows in noise.

    The images are large enough to be augmented by default, so a thread makes the batches.
    """
    home = tmp_path_factory.mktemp("resume")
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("test", 10)):
        for k, label in enumerate("abc"):
            folder = home / "rows" / part / label
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 150, (28, 28), dtype=np.uint8)
                pixels[k] += 100
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return home


@pytest.fixture
def start(home):
    """Start a process; it is ended with the test, if it still runs."""
    started = []

    def start(*arguments, limit=0) -> subprocess.Popen:
        command = [sys.executable, "-c", CHILD, str(limit), *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=home))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """(exit code, stderr)."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


def lines_of(folder) -> list[dict]:
    """Lines of metrics.jsonl, without times; a line that is not whole yet is left out."""
    path = folder / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    whole = [json.loads(line) for line in text.split("\n")[:-1]]
    return [{k: v for k, v in line.items() if "second" not in k} for line in whole]


def wait_for_lines(process, folder, count) -> None:
    """Until the run has written `count` lines; it must not end before."""
    end = time.monotonic() + PATIENCE
    while len(lines_of(folder)) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "the run writes nothing"
        time.sleep(0.005)


def assert_same_run(folder, whole) -> None:
    """The same networks and metrics, bit for bit."""
    assert lines_of(folder) == lines_of(whole)
    for name in ("pruned.safetensors", "teacher.safetensors"):
        (arrays, about), (expected, about_it) = (
            load_arrays(folder / name, "network"),
            load_arrays(whole / name, "network"),
        )
        assert about == about_it
        assert arrays.keys() == expected.keys()
        for key, array in arrays.items():
            assert array.dtype == expected[key].dtype
            assert np.array_equal(array, expected[key]), f"{name}: {key}"
    result, expected = (json.loads((run / "result.json").read_text()) for run in (folder, whole))
    measured = {"seconds", "latency_ms", "latency_full_ms", "peak_bytes"}
    assert {k: v for k, v in result.items() if k not in measured} == {
        k: v for k, v in expected.items() if k not in measured
    }
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}


@pytest.fixture(scope="module")
def whole(home):
    """The folder of a run that nothing disturbed."""
    folder = home / "whole"
    command = [sys.executable, "-c", CHILD, "0", "train", *OPTIONS, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line["stage"] for line in lines_of(folder)] == STAGES
    return folder


def resume(start, folder) -> None:
    assert finish(start("train", "--resume", folder)) == (0, "")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5], ids=lambda count: f"after-{count}-lines")
def test_killed_it_goes_on_bit_for_bit(count, start, whole, tmp_path):
    """In the first epoch, in the teacher, at the change of stages, while pruning, fine-tuning."""
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    while count == 0 and not (folder / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.005)
    wait_for_lines(process, folder, count)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert len(lines_of(folder)) >= count
    assert not (folder / "result.json").exists()
    resume(start, folder)
    assert_same_run(folder, whole)


def test_killed_twice(start, whole, tmp_path):
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    for count in (1, 3):
        wait_for_lines(process, folder, count)
        process.kill()
        finish(process)
        process = start("train", "--resume", folder)
    assert finish(process) == (0, "")
    assert_same_run(folder, whole)


def test_ctrl_c_ends_with_130_and_says_how_to_resume(start, whole, tmp_path):
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    wait_for_lines(process, folder, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.splitlines()[-1] == "returned 130"  # `main` returns the code, it does not exit
    assert err == f"interrupted; resume with `tinybar train --resume {folder}`\n"
    resume(start, folder)
    assert_same_run(folder, whole)


def assert_failed_in_one_line(process, *words) -> None:
    code, err = finish(process)
    assert code == 1, err
    assert err.count("\n") == 1
    assert err.startswith("tinybar: error: ")
    assert all(word in err for word in words), err


def test_a_file_that_may_not_grow_is_one_line_and_the_run_goes_on_later(start, whole, tmp_path):
    """As with a full disk: here it is the first checkpoint that does not fit."""
    folder = tmp_path / "run"
    limit = 200_000
    assert (whole / "teacher.safetensors").stat().st_size > limit
    process = start("train", *OPTIONS, "--out", folder, limit=limit)
    assert_failed_in_one_line(process, "checkpoint.safetensors")
    assert [path.name for path in folder.iterdir()] == ["config.toml"]
    resume(start, folder)
    assert_same_run(folder, whole)


@pytest.fixture
def small_disk(tmp_path, whole):
    """A file system that is full before stage two: room for a checkpoint and its successor."""
    disk = tmp_path / "disk"
    disk.mkdir()
    teacher = (whole / "teacher.safetensors").stat().st_size
    size = 6 * teacher + 4096 * 12  # a checkpoint is three teachers: weights and two moments
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tinybar-test", str(disk)]
    if not shutil.which("mount") or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs the right to mount a file system")
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(start, whole, small_disk):
    folder = small_disk / "run"
    assert_failed_in_one_line(start("train", *OPTIONS, "--out", folder), "No space left on device")
    assert [line["stage"] for line in lines_of(folder)] == ["teacher", "teacher"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    enlarge = ["mount", "-o", "remount,size=32m", str(small_disk)]
    subprocess.run(enlarge, check=True, capture_output=True)
    resume(start, folder)
    assert_same_run(folder, whole)
