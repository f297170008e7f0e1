"""A sweep: jobs on workers, teachers before the runs that share them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from ..runtime.files import reading
from . import job as jobs
from . import table
from .executors import Workers
from .grid import Job, teacher_job, with_teacher
from .job import Outcome

TICK = 1.0  # seconds between two looks at how far the jobs are


class Sweep:
    """The folder of a sweep, its jobs, and where they are.

    jobs: by name, teachers included. folders: theirs. teacher_of: the teacher that a run shares.
    running: the jobs that were handed to the workers. recorded: finished, says results.csv.
    """

    def __init__(self, path: Path, runs: list[Job]):
        self.results: Path = Path(path) / "results.csv"
        self.runs: list[str] = [run.name for run in runs]
        self.jobs: dict[str, Job] = {}
        self.folders: dict[str, Path] = {}
        self.teacher_of: dict[str, str] = {}
        self.running: set[str] = set()
        self.recorded: Any = table.finished(self.results)
        for run in runs:
            if run.config.teacher is None:
                teacher = teacher_job(run.config)
                self._add(teacher, Path(path) / "teachers")
                self.teacher_of[run.name] = teacher.name
                run = with_teacher(run, self.folders[teacher.name] / "teacher.safetensors")
            self._add(run, Path(path) / "runs")

    def _add(self, job: Job, folder: Path) -> None:
        self.jobs[job.name], self.folders[job.name] = job, folder / job.name

    def make(self) -> None:
        """Make the folders. OSError if they cannot be made."""
        for folder in {folder.parent for folder in self.folders.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        for folder in self.folders.values():
            jobs.tidy(folder)

    def status(self, name: str) -> str:
        """One of: finished, failed: REASON, at work, waiting."""
        if self.is_finished(name):
            return "finished"
        if reason := self.failure(name):
            return f"failed: {reason}"
        return "at work" if jobs.is_at_work(self.folders[name]) else "waiting"

    def is_finished(self, name: str) -> bool:
        """Whether the job need not be executed any more."""
        return name in self.recorded or jobs.is_finished(self.folders[name])

    def failure(self, name: str) -> str:
        """Why the job failed, or the teacher that it needs; or ""."""
        if reason := jobs.failure(self.folders[name]):
            return reason
        teacher = self.teacher_of.get(name)
        reason = jobs.failure(self.folders[teacher]) if teacher else ""
        return f"its teacher failed: {reason}" if reason else ""

    def is_ready(self, name: str) -> bool:
        """Whether the teacher that the run needs is there."""
        teacher = self.teacher_of.get(name)
        return teacher is None or self.is_finished(teacher)

    def left(self) -> list[str]:
        """The jobs that wait, teachers before the runs that need them."""
        runs = [name for name in self.runs if self._is_left(name)]
        teachers = dict.fromkeys(self.teacher_of[name] for name in runs if name in self.teacher_of)
        return [*filter(self._is_left, teachers), *runs]

    def _is_left(self, name: str) -> bool:
        is_over = self.is_finished(name) or self.failure(name)
        return name not in self.running and not is_over

    def retry(self) -> None:
        """Let the jobs that failed be tried again."""
        for folder in self.folders.values():
            jobs.forgive(folder)

    def write_results(self) -> None:
        """Write results.csv: the runs that have ended; rows of other grids in the folder stay."""
        rows = []
        for name in self.runs:
            path, keys = self.folders[name] / "result.json", self.jobs[name].keys
            if path.exists():
                with reading(path):
                    result = json.loads(path.read_text("utf-8"))
                rows.append(table.row(name, keys, result | self._teacher_seconds(name)))
            elif name not in self.recorded and (reason := self.failure(name)):
                rows.append(table.row(name, keys, {}, reason))
        table.update(self.results, rows)

    def _teacher_seconds(self, name: str) -> dict[str, Any]:
        """How long the training of the shared teacher took, while its folder is there."""
        teacher = self.teacher_of.get(name)
        metrics = self.folders[teacher] / "metrics.jsonl" if teacher else None
        if metrics is None or not metrics.exists():
            return {}
        with reading(metrics):
            lines = metrics.read_text("utf-8").splitlines()
            return {"seconds_teacher": sum(json.loads(line)["seconds"] for line in lines)}


Listener = Callable[[Sweep, Outcome | None], None]  # each outcome as it comes, and None every TICK


def run(sweep: Sweep, workers: Workers, threads: int, listen: Listener) -> None:
    """Execute what is left, `threads` for each job; write results.csv anew as each of them ends.

    Where this is interrupted, the jobs that it has begun save a checkpoint and end.
    """
    sweep.make()
    futures: dict[Future, str] = {}
    again: dict[str, float] = {}  # when to look again at a job that was left for later
    number = uuid.uuid4().hex
    try:
        while futures or sweep.left():
            for name in sweep.left():
                if sweep.is_ready(name) and time.monotonic() >= again.get(name, 0):
                    arguments = str(sweep.folders[name].resolve()), threads, number
                    future = workers.executor.submit(jobs.execute, sweep.jobs[name], *arguments)
                    futures[future] = name
                    sweep.running.add(name)
            if not futures:
                time.sleep(TICK)
            ended, _ = wait(futures, TICK, FIRST_COMPLETED)
            for future in ended:
                name = futures.pop(future)
                sweep.running.discard(name)
                outcome = _outcome(sweep, future, name)
                if outcome and (sweep.is_finished(name) or sweep.failure(name)):
                    sweep.write_results()
                    listen(sweep, outcome)
                else:  # NFS shows a file that another machine wrote some seconds later
                    again[name] = time.monotonic() + TICK
            listen(sweep, None)
    except BaseException:
        for future in futures:
            future.cancel()
        workers.interrupt(number)
        raise
    finally:
        sweep.write_results()


def _outcome(sweep: Sweep, future: Future, name: str) -> Outcome | None:
    """What the job says; of workers that lost it, as a cluster on which they die, a failure."""
    if future.cancelled():  # nobody here has cancelled it
        raise RuntimeError("the scheduler is gone: start it, and give the same command again")
    error = future.exception()
    if error is None:
        return future.result()
    return jobs.fail(sweep.folders[name], name, " ".join(str(error).split()) or repr(error))
