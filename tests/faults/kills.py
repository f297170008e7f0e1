"""Runs that are killed, interrupted or run out of disk: all go on, and end bit for bit the same.

    python tests/faults/kills.py --each 30

starts, for each of SIGKILL, SIGTERM and SIGINT, 30 runs with long epochs and ends them at random
moments (some of them again when they have been resumed); kills one before and one after each time
that a run puts a file in its place; and lets 10 each find a damaged checkpoint, run out of disk in
two ways, lose their folder, and meet a second process. It prints what failed, and ends with 1 if
anything did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tinybar.runtime.files import load_arrays

OPTIONS = [
    "--data", "rows", "--model", "wrn-10-1", "--budget", "4x", "--batch-size", "4",
    "--epochs", "2", "1", "1", "--teacher-epochs", "2", "--checkpoint-minutes", "0.01",
    "--threads", "1",
]  # fmt: skip
RARELY = ["--checkpoint-minutes", "60"]  # so that the number of checkpoints is known
STAGES = ["teacher", "teacher", "prune", "prune", "fine-tune", "fine-tune"]
PATIENCE = 300  # seconds until a process that does nothing is given up
CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}

# The child keeps to the signals' meaning whatever its parent did with them, and says what `main`
# returned. argv: the largest file it may write in bytes (0: any size); k to be killed after the kth
# `os.replace`, k - 0.5 before it (0: never); then tinybar's arguments.
CHILD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
limit, fatal, count = int(sys.argv[1]), float(sys.argv[2]), 0
if limit:
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
def half(replace=os.replace):
    global count
    count += 0.5
    if count == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
def counted(*paths, replace=os.replace):
    half()
    replace(*paths)
    half()
os.replace = counted
from tinybar.cli import main
code = main(sys.argv[3:])
print("replaced", count)
print("returned", code)
sys.exit(code)
"""


def make_images(home: Path, train: int = 40) -> None:
    """A small data set in home/rows, of bright rows in noise.

    The images are large enough to be augmented by default, so a thread makes the batches.
    """
    rng = np.random.default_rng(0)
    for part, n in (("train", train), ("test", 10)):
        for k, label in enumerate("abc"):
            folder = home / "rows" / part / label
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 150, (28, 28), dtype=np.uint8)
                pixels[k] += 100
                Image.fromarray(pixels).save(folder / f"{i}.png")


def start(home: Path, *arguments, limit: int = 0, fatal: float = 0) -> subprocess.Popen:
    """`tinybar` with these arguments in a process of its own."""
    command = [sys.executable, "-c", CHILD, str(limit), str(fatal), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=home)


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """(exit code, stderr)."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


def wait_until(process: subprocess.Popen, condition, what: str) -> None:
    """Until the condition holds; the process must not end before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.005)


def lines_of(folder: Path) -> list[dict]:
    """Lines of metrics.jsonl, without times; a line that is not whole yet is left out."""
    path = folder / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    whole = [json.loads(line) for line in text.split("\n")[:-1]]
    return [{k: v for k, v in line.items() if "second" not in k} for line in whole]


def assert_same_run(folder: Path, whole: Path) -> None:
    """The same networks, metrics and result, bit for bit but for what is measured."""
    assert lines_of(folder) == lines_of(whole)
    for name in ("pruned.safetensors", "teacher.safetensors"):
        arrays, about = load_arrays(folder / name, "network")
        expected, about_it = load_arrays(whole / name, "network")
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


def resume(home: Path, folder: Path, *options) -> None:
    """Continue the run to its end."""
    assert finish(start(home, "train", "--resume", folder, *options)) == (0, "")


def assert_failed_in_one_line(process: subprocess.Popen, *words: str, code: int = 1) -> None:
    """The exit code, and a single line on stderr that holds all words."""
    found, err = finish(process)
    assert found == code, err
    assert err.count("\n") == 1, err
    assert err.startswith("tinybar: error: ")
    assert all(word in err for word in words), err


def assert_ended(process: subprocess.Popen, number: signal.Signals, folder: Path) -> None:
    """By the signal: its exit code, and one line on stderr; or the run had ended before."""
    code, err = finish(process)
    if (folder / "result.json").exists():
        return
    assert code == CODES[number], err
    how = re.escape(f"; resume with `tinybar train --resume {folder}`\n")
    where = r"( at iteration [\d,]+ of stage '[\w-]+')?"
    assert number == signal.SIGKILL or re.fullmatch(f"interrupted{where}{how}", err), err


# --- the cases ------------------------------------------------------------------------------------


class Case:
    """A run in a folder of its own, to be disturbed. seconds: that an undisturbed one takes."""

    def __init__(self, home: Path, name: str, seconds: float):
        self.home, self.folder = home, home / name
        self.whole, self.rng, self.seconds = home / "whole", random.Random(name), seconds

    def begin(self, **disturbance) -> subprocess.Popen:
        """Start it, and wait until it has begun."""
        process = start(self.home, "train", *OPTIONS, "--out", self.folder, **disturbance)
        checkpoint = self.folder / "checkpoint.safetensors"
        wait_until(process, checkpoint.exists, "checkpoint")
        return self.begun(process)

    def begun(self, process: subprocess.Popen) -> subprocess.Popen:
        """Wait until the process has the run."""
        lock = self.folder / "lock"
        mine = str(process.pid)
        wait_until(process, lambda: lock.exists() and lock.read_text() == mine, "lock")
        return process

    def end(self) -> None:
        """Resume it; it must be what it would have been."""
        if (self.folder / "result.json").exists():
            process = start(self.home, "train", "--resume", self.folder)
            assert_failed_in_one_line(process, "is complete", code=2)
        else:
            resume(self.home, self.folder)
        assert_same_run(self.folder, self.whole)
        shutil.rmtree(self.folder)

    def signalled(self, number: signal.Signals) -> None:
        """At a random moment; in every second case again, when it has been resumed."""
        process = self.begin()
        for _ in range(self.rng.choice((1, 2))):
            time.sleep(self.rng.uniform(0, self.seconds))
            process.send_signal(number)
            if self.rng.random() < 0.3:
                process.send_signal(number)  # a second one harms nothing
            assert_ended(process, number, self.folder)
            if (self.folder / "result.json").exists():
                break
            process = start(self.home, "train", "--resume", self.folder)
            if self.folder.exists():
                self.begun(process)
        else:
            assert finish(process) == (0, "")
        self.end()

    def killed_at(self, write: float) -> None:
        """Before or after a file is put in its place."""
        process = start(self.home, "train", *OPTIONS, *RARELY, "--out", self.folder, fatal=write)
        assert finish(process)[0] in (-signal.SIGKILL, 0)  # the first run has also put a cache
        if not (self.folder / "config.toml").exists():  # nothing had begun
            assert finish(start(self.home, "train", *OPTIONS, "--out", self.folder)) == (0, "")
        self.end()

    def damaged(self) -> None:
        """It is killed, and a bit of its last checkpoint flips: the one before it is used."""
        process = self.begin()
        newest, before = (self.folder / f"checkpoint{k}.safetensors" for k in ("", "-before"))
        wait_until(process, before.exists, "second checkpoint")
        time.sleep(self.rng.uniform(0, 0.7 * self.seconds))
        process.kill()
        finish(process)
        if newest.exists():  # else it was killed between the two names
            content = bytearray(newest.read_bytes())
            content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
            newest.write_bytes(content)
            code, err = finish(start(self.home, "train", "--resume", self.folder))
            assert (code, err.count("\n")) == (0, 1), err
            assert str(newest) in err
            assert err.endswith("; going on from the one before it\n")
        self.end()

    def without_disk(self) -> None:
        """No file may grow above a size, as if the disk was full."""
        limit = self.rng.randrange(10_000, 400_000)
        process = start(self.home, "train", *OPTIONS, "--out", self.folder, limit=limit)
        assert_failed_in_one_line(process, "cannot write", f"--resume {self.folder}")
        self.end()

    def without_metrics(self) -> None:
        """The disk is full when a line of metrics.jsonl is written."""
        process = self.begin()
        metrics, kept = self.folder / "metrics.jsonl", self.folder.with_suffix(".kept")
        wait_until(process, metrics.exists, "metrics")
        metrics.rename(kept)
        metrics.symlink_to("/dev/full")
        words = ("metrics.jsonl: No space left on device", f"--resume {self.folder}")
        assert_failed_in_one_line(process, *words)
        metrics.unlink()
        kept.rename(metrics)
        self.end()

    def without_folder(self) -> None:
        """The run's folder is removed."""
        process = self.begin()
        time.sleep(self.rng.uniform(0, 0.7 * self.seconds))
        is_complete = (self.folder / "result.json").exists()  # on a machine that was slower before
        self.folder.rename(self.folder.with_suffix(".gone"))
        shutil.rmtree(self.folder.with_suffix(".gone"))
        if not is_complete:
            assert_failed_in_one_line(process, str(self.folder), "removed")

    def with_another(self) -> None:
        """A second process is refused; the first goes on."""
        process = self.begin()
        second = start(self.home, "train", "--resume", self.folder)
        assert_failed_in_one_line(second, f"in use by process {process.pid}", code=2)
        second = start(self.home, "train", *OPTIONS, "--out", self.folder)
        assert_failed_in_one_line(second, f"{self.folder} exists", code=2)
        assert finish(process) == (0, "")
        self.end()


def whole_run(home: Path) -> tuple[float, int]:
    """(seconds, number of files put in place) of a run in home/whole that nothing disturbs."""
    process = start(home, "train", *OPTIONS, *RARELY, "--out", home / "whole")
    wait_until(process, (home / "whole" / "config.toml").exists, "config.toml")
    began = time.monotonic()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert [line["stage"] for line in lines_of(home / "whole")] == STAGES
    (count,) = re.findall(r"^replaced ([\d.]+)$", out, re.MULTILINE)
    return time.monotonic() - began, int(float(count))


def main() -> int:
    """Run all cases; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=30, metavar="N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--only", default="", metavar="REGEX", help="of the names of cases")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        make_images(home)
        seconds, writes = whole_run(home)
        print(f"a run: {seconds:.0f} s, {writes} files put in place", flush=True)
        jobs = [
            (f"{number.name}-{k}", Case.signalled, number)
            for number in CODES
            for k in range(arguments.each)
        ]
        jobs += [(f"write-{k / 2}", Case.killed_at, k / 2) for k in range(1, 2 * writes + 1)]
        others = (
            Case.damaged, Case.without_disk, Case.without_metrics, Case.without_folder,
            Case.with_another,
        )  # fmt: skip
        jobs += [(f"{f.__name__}-{k}", f) for f in others for k in range(-(-arguments.each // 3))]

        jobs = [job for job in jobs if re.match(arguments.only, job[0])]

        def run(job) -> bool:
            name, case, *details = job
            try:
                case(Case(home, name, seconds), *details)
            except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
                print(f"{name} failed: {type(error).__name__}: {error}", flush=True)
                return False
            return True

        with ThreadPoolExecutor(arguments.jobs) as pool:
            passed = list(pool.map(run, jobs))
    print(f"{sum(passed)} of {len(passed)} went on bit for bit")
    return int(not all(passed))


if __name__ == "__main__":
    os.environ["TINYBAR_FAST"] = "off"  # compiled kernels would take longer to load than to use
    sys.exit(main())
