"""A sweep of 12 runs that is killed five times ends with the results of one that was left alone.

    python tests/faults/sweeps.py
    python tests/faults/sweeps.py --dask

Each time everything is killed with SIGKILL, a moment after two more runs have ended: the sweep and
its runs, and on a cluster the workers and the scheduler, too. Once only the runs, and once all but
the runs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tinybar.sweep.table import load

GRID = """
[grid]
method = ["bar", "magnitude", "l0"]
budget = ["2x", "4x"]
seed = [0, 1]

[options]
model = "wrn-10-1"
epochs = [2, 1, 1]
teacher_epochs = 2
batch_size = 128
checkpoint_minutes = 0.01
"""
TIMES = {"seconds", "seconds_teacher", "latency_ms", "latency_full_ms", "peak_bytes"}
ADDRESS = "tcp://127.0.0.1:{}"


class Cluster:
    """A Dask scheduler and two workers, each in a process of its own."""

    def __init__(self, port: int):
        self.address = ADDRESS.format(port)
        tool = [sys.executable, "-m", "distributed.cli.dask_{}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        fixed = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        self.processes = [
            subprocess.Popen([*tool[:2], tool[2].format("scheduler"), *fixed], **quiet)
        ]
        work = [*tool[:2], tool[2].format("worker"), self.address, "--nthreads", "1", "--no-nanny"]
        self.processes += [subprocess.Popen([*work, "--no-dashboard"], **quiet) for _ in range(2)]

    def kill(self) -> None:
        """End all three."""
        for process in self.processes:
            process.kill()
            process.wait()


def start(home: Path, out: Path, cluster: Cluster | None) -> subprocess.Popen:
    """The sweep, in a process of its own."""
    where = ["--scheduler", cluster.address] if cluster else ["--jobs", "2"]
    command = [sys.executable, "-m", "tinybar", "sweep", str(home / "grid.toml"), "--out", str(out)]
    return subprocess.Popen([*command, *where], stdout=subprocess.DEVNULL)


def runs_at_work(out: Path) -> list[int]:
    """The processes that train something in the folder."""
    found = []
    for lock in out.glob("*/*/lock"):
        with suppress(OSError, ValueError):
            found.append(int(lock.read_text()))
    return found


def kill(numbers: list[int]) -> None:
    """SIGKILL, to those that are left."""
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def ended(out: Path) -> int:
    """The number of lines in results.csv."""
    return len(load(out / "results.csv"))


def results(out: Path) -> list[dict]:
    """The lines of results.csv without times."""
    return [{k: v for k, v in line.items() if k not in TIMES} for line in load(out / "results.csv")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, port = random.Random(options.seed), 18786
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "grid.toml").write_text(GRID)
        assert start(home, home / "alone", None).wait() == 0
        out = home / "killed"
        sweep = cluster = None
        for k, victims in enumerate(("all", "all", "runs", "sweep", "all")):
            if sweep is None:
                cluster = Cluster(port + k) if options.dask else None
                sweep = start(home, out, cluster)
            while ended(out) < 2 * k and sweep.poll() is None:
                time.sleep(0.1)
            time.sleep(chance.uniform(1, 4))
            print(f"{victims} killed, {ended(out)} runs had ended", flush=True)
            if victims != "runs":
                sweep.kill()
                sweep.wait()
                if cluster:
                    cluster.kill()
                sweep = None
            if victims != "sweep":
                kill(runs_at_work(out))
        cluster = Cluster(port + 9) if options.dask else None
        code = start(home, out, cluster).wait()
        if cluster:
            cluster.kill()
        is_same = results(out) == results(home / "alone")
        print(
            f"exit code {code}, {len(results(out))} runs, results {'equal' * is_same or 'differ'}"
        )
        return int(code != 0 or not is_same)


if __name__ == "__main__":
    sys.exit(main())
