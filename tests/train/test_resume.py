"""Real processes that are killed, interrupted, or run out of disk, and resume bit for bit.

`python tests/faults/kills.py` does the same at random moments, as often as one likes.
"""

import os
import shutil
import signal
import subprocess

import pytest
from faults import kills
from faults.kills import (
    Case,
    assert_ended,
    assert_failed_in_one_line,
    assert_same_run,
    finish,
    lines_of,
)

OPTIONS = [*kills.OPTIONS, *kills.RARELY, "--batch-size", "32"]  # short epochs


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where all processes run: a folder with a small data set."""
    home = tmp_path_factory.mktemp("resume")
    kills.make_images(home)
    return home


@pytest.fixture
def start(home):
    """Start a process; it is ended with the test, if it still runs."""
    started = []

    def start(*arguments, **disturbance) -> subprocess.Popen:
        started.append(kills.start(home, *arguments, **disturbance))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for_lines(process, folder, count) -> None:
    """Until the run has written `count` lines; it must not end before."""
    kills.wait_until(process, lambda: len(lines_of(folder)) >= count, f"{count} lines")


@pytest.fixture(scope="module")
def whole(home):
    """The folder of a run that nothing disturbed."""
    folder = home / "whole"
    assert finish(kills.start(home, "train", *OPTIONS, "--out", folder)) == (0, "")
    assert [line["stage"] for line in lines_of(folder)] == kills.STAGES
    return folder


def resume(start, folder) -> None:
    assert finish(start("train", "--resume", folder)) == (0, "")


@pytest.mark.parametrize("count", [0, 2], ids=lambda count: f"after-{count}-lines")
def test_killed_it_goes_on_bit_for_bit(count, start, whole, tmp_path):
    """In the first epoch, and at the change of stages."""
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    checkpoint = folder / "checkpoint.safetensors"
    kills.wait_until(process, checkpoint.exists, "checkpoint")
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


def test_killed_before_its_options_are_there(start, whole, tmp_path):
    """Nothing is in the folder that could be resumed, and nothing that is in the way."""
    folder = tmp_path / "run"
    new = ["train", *OPTIONS, "--out", folder]
    assert finish(start(*new, fatal=0.5))[0] == -signal.SIGKILL
    assert folder.exists()
    assert not (folder / "config.toml").exists()
    assert finish(start(*new)) == (0, "")
    assert_same_run(folder, whole)


def test_killed_between_the_two_names_of_a_checkpoint(start, whole, tmp_path):
    """The second one is written; the first one has made way, and is the last there is."""
    folder = tmp_path / "run"
    assert finish(start("train", *OPTIONS, "--out", folder, fatal=3.5))[0] == -signal.SIGKILL
    assert (folder / "checkpoint-before.safetensors").exists()
    assert not (folder / "checkpoint.safetensors").exists()
    resume(start, folder)
    assert_same_run(folder, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_it_with_its_code_and_says_how_to_resume(number, start, whole, tmp_path):
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    wait_for_lines(process, folder, 1)
    process.send_signal(number)
    process.send_signal(number)  # a second one harms nothing
    assert_ended(process, number, folder)
    assert not (folder / "lock").exists()
    resume(start, folder)
    assert_same_run(folder, whole)


def test_two_processes(start, whole, tmp_path, home):
    case = Case(home, "two", 0)
    case.folder = tmp_path / "run"
    process = case.begun(start("train", *OPTIONS, "--out", case.folder))
    second = start("train", "--resume", case.folder)
    assert_failed_in_one_line(second, f"in use by process {process.pid}", code=2)
    assert finish(process) == (0, "")
    assert_same_run(case.folder, whole)
    assert not (case.folder / "lock").exists()


def test_a_folder_that_is_removed(start, tmp_path):
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    wait_for_lines(process, folder, 1)
    folder.rename(tmp_path / "gone")
    assert_failed_in_one_line(process, f"the run folder {folder} was removed")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_when_metrics_are_written(start, whole, tmp_path):
    folder = tmp_path / "run"
    process = start("train", *OPTIONS, "--out", folder)
    wait_for_lines(process, folder, 1)
    (folder / "metrics.jsonl").rename(tmp_path / "kept")
    (folder / "metrics.jsonl").symlink_to("/dev/full")
    words = ("metrics.jsonl: No space left on device", f"--resume {folder}")
    assert_failed_in_one_line(process, *words)
    (tmp_path / "kept").replace(folder / "metrics.jsonl")
    resume(start, folder)
    assert_same_run(folder, whole)


def test_a_file_that_may_not_grow_is_one_line_and_the_run_goes_on_later(start, whole, tmp_path):
    """As with a full disk: here it is the first checkpoint that does not fit."""
    folder = tmp_path / "run"
    limit = 200_000
    assert (whole / "teacher.safetensors").stat().st_size > limit
    process = start("train", *OPTIONS, "--out", folder, limit=limit)
    assert_failed_in_one_line(process, "checkpoint.safetensors", f"--resume {folder}")
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
