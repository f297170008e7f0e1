"""A long run where the machine is lent for minutes: begun, resumed and interrupted by the clock.

    python benchmarks/slices.py runs/paper --minutes 9 --preset paper-cifar10 --budget 16x
    python benchmarks/slices.py runs/paper --minutes 9      # again, until the exit code is 0

What follows the folder are options of `tinybar train`, of which the first call makes the run; the
later ones may repeat --device. After the minutes the run is interrupted as by Ctrl-C, which saves
the step that was reached. The exit code is 0 when the run is complete, 75 when more is to do, and
otherwise that of `tinybar train`, 1 for a run over its budget.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # of this tinybar, whether or not it is installed

from common import importing  # noqa: E402

MORE = 75  # EX_TEMPFAIL of sysexits.h: try again
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Do one slice; returns the exit code."""
    if len(arguments) < 3 or arguments[1] != "--minutes":
        print(__doc__, file=sys.stderr)
        return 2
    folder, seconds, options = Path(arguments[0]), 60 * float(arguments[2]), arguments[3:]
    if (folder / "result.json").exists():
        return 0
    is_new = not (folder / "config.toml").exists()
    where = ["--out" if is_new else "--resume", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tinybar", "train", *where, *options],
        env=importing(ROOT),
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        code = process.wait()
    return MORE if code == INTERRUPTED else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
