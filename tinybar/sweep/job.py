"""One job, as a process of its own: begun, resumed, or found finished."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import tomli_w

from ..runtime import signals
from ..runtime.files import write_text
from ..runtime.locks import POLL, LockedError, locked
from .grid import Job

KILLED = 3  # times that a job is begun again after its process was killed
ASKED_TO_END = {128 + number for number in (signal.SIGINT, signal.SIGTERM)}  # exit codes

_children: dict[subprocess.Popen, str] = {}  # at work in this process, with the sweep of each
_interrupted: set[str] = set()  # sweeps


class Outcome(NamedTuple):
    """How a job ended. reason: one line of why it is not finished, or ""."""

    name: str
    reason: str = ""


def is_finished(folder: Path) -> bool:
    """Whether the job's folder holds its result: that of a run, or a teacher alone."""
    name = "teacher.safetensors" if _is_teacher(folder) else "result.json"
    return (folder / name).exists()


def is_at_work(folder: Path) -> bool:
    """Whether a worker has the job, of this sweep or of another one in the same folder."""
    return _beside(folder, "lock").exists()


def tidy(folder: Path) -> None:
    """Remove what a worker that was killed has left."""
    _is_free(_beside(folder, "lock"))


def failure(folder: Path) -> str:
    """The reason why the job failed, or ""."""
    path = _beside(folder, "failed")
    return path.read_text("utf-8").strip() if path.exists() else ""


def fail(folder: Path, name: str, reason: str) -> Outcome:
    """Note that the job failed: it is not tried again until it is forgiven."""
    write_text(_beside(folder, "failed"), f"{reason}\n")
    return Outcome(name, reason)


def forgive(folder: Path) -> None:
    """Let a job that failed be tried again."""
    _beside(folder, "failed").unlink(missing_ok=True)


def worker_of(folder: Path) -> str:
    """Where the job runs, or ran last."""
    path = _beside(folder, "worker")
    return path.read_text("utf-8") if path.exists() else ""


def epochs_done(folder: Path) -> int:
    """The epochs that the job has trained."""
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def interrupt(sweep: str) -> None:
    """Let the jobs of the sweep in this process save a checkpoint and end; none begins any more."""
    _interrupted.add(sweep)
    for child, its_sweep in list(_children.items()):
        if its_sweep == sweep:
            child.terminate()


def execute(job: Job, folder: str, threads: int, sweep: str) -> Outcome | None:
    """Train until the job is finished or has failed. Called on a worker, in any process.

    None if it is left for later: another sweep is at it, or this one was interrupted. sweep: what
    `interrupt` will call it.
    """
    path = Path(folder)
    try:
        with locked(_beside(path, "lock")):
            return _finish(job, path, threads, sweep)
    except LockedError:
        return None


def _finish(job: Job, path: Path, threads: int, sweep: str) -> Outcome | None:
    """As `execute`. A process that is killed is begun again, and resumes from its checkpoint."""
    code, said = 0, ""
    for _ in range(1 + KILLED):
        while not _is_free(path / "lock"):  # the process of a worker that died is still at work
            if _must_stop(sweep):
                return None
            time.sleep(POLL)
        if is_finished(path) or failure(path):  # by another sweep
            return Outcome(job.name, failure(path))
        if _must_stop(sweep):
            return None
        write_text(_beside(path, "worker"), platform.node())
        code, said = _train(job, path, threads, sweep)
        if is_finished(path):
            return Outcome(job.name)
        if code >= 0 and code not in ASKED_TO_END:
            return fail(path, job.name, f"{said} (exit code {code})")
    if _must_stop(sweep):
        return None
    return fail(path, job.name, f"its process was killed {1 + KILLED} times (code {code})")


def _must_stop(sweep: str) -> bool:
    return sweep in _interrupted or bool(signals.received())


def _is_free(lock: Path) -> bool:
    """Whether nobody holds it; the file that a process which was killed has left is removed."""
    if lock.exists():
        try:
            with locked(lock):
                pass
        except LockedError:
            return False
    return True


def _train(job: Job, folder: Path, threads: int, sweep: str) -> tuple[int, str]:
    """The exit code of `tinybar train`, and the last line that it wrote."""
    options, log = _beside(folder, "toml"), _beside(folder, "log")
    write_text(options, tomli_w.dumps(job.config.as_table()))
    if (folder / "config.toml").is_file():
        where = ["--resume", str(folder)]
    else:
        where = ["--out", str(folder), "--preset", str(options)]
    alone = ["--teacher-only"] if _is_teacher(folder) else []
    command = [sys.executable, "-m", "tinybar", "train", *where, *alone, "--threads", str(threads)]
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    _children[child] = sweep
    if _must_stop(sweep):  # `interrupt` may have looked before
        child.terminate()
    code = child.wait()
    del _children[child]
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return code, lines[-1].removeprefix("tinybar: error: ") if lines else ""


def _is_teacher(folder: Path) -> bool:
    return folder.parent.name == "teachers"


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}.{kind}")
