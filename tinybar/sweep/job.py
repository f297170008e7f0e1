"""One job, as a process of its own: begun, resumed, or found finished."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import tomli_w

from ..runtime import signals
from ..runtime.files import write_text
from ..runtime.locks import waited_for
from .grid import Job

KILLED = 3  # times that a job is begun again after its process was killed
ASKED_TO_END = {128 + number for number in (signal.SIGINT, signal.SIGTERM)}  # exit codes

_children: list[subprocess.Popen] = []  # those of this process that are at work
_stopping = threading.Event()


class Outcome(NamedTuple):
    """How a job ended. reason: one line of why it is not finished, or ""."""

    name: str
    reason: str = ""


def is_finished(folder: Path) -> bool:
    """Whether the job's folder holds its result: that of a run, or a teacher alone."""
    name = "teacher.safetensors" if _is_teacher(folder) else "result.json"
    return (folder / name).exists()


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


def interrupt() -> None:
    """Let the jobs of this process save a checkpoint and end; none begins any more."""
    _stopping.set()
    for child in list(_children):
        child.terminate()


def begin() -> None:
    """Let jobs begin again in a process that was interrupted."""
    _stopping.clear()


def execute(job: Job, folder: str, threads: int) -> Outcome:
    """Train until the job is finished or has failed. Called on a worker, in any process.

    A process that is killed is begun again, and resumes from its checkpoint. What another machine
    has begun, or a worker that died since, is waited for.
    """
    path, code, said = Path(folder), 0, ""
    with waited_for(_beside(path, "lock")):
        for _ in range(1 + KILLED):
            if path.exists():  # the process of a worker that died may still be at work
                with waited_for(path / "lock"):
                    pass
            if is_finished(path):
                return Outcome(job.name)
            write_text(_beside(path, "worker"), platform.node())
            code, said = _train(job, path, threads)
            if is_finished(path):
                return Outcome(job.name)
            if _stopping.is_set() or signals.received():
                return Outcome(job.name, "interrupted")
            if code >= 0 and code not in ASKED_TO_END:
                return fail(path, job.name, f"{said} (exit code {code})")
        return fail(path, job.name, f"its process was killed {1 + KILLED} times (code {code})")


def _train(job: Job, folder: Path, threads: int) -> tuple[int, str]:
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
    _children.append(child)
    if _stopping.is_set():  # `interrupt` may have looked before
        child.terminate()
    code = child.wait()
    _children.remove(child)
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return code, lines[-1].removeprefix("tinybar: error: ") if lines else ""


def _is_teacher(folder: Path) -> bool:
    return folder.parent.name == "teachers"


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}.{kind}")
