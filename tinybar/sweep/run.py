"""A sweep: jobs on an executor, teachers before the runs that share them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path

from . import job as jobs
from . import table
from .grid import Job, teacher_job, with_teacher
from .job import Outcome

TICK = 1.0  # seconds between two looks at how far the jobs are


class Sweep:
    """The folder of a sweep, its jobs, and where they are.

    jobs: by name, teachers included. folders: theirs. teacher_of: the teacher that a run shares.
    running: the jobs that were handed to the executor. outcomes: of those that have ended.
    """

    def __init__(self, path: Path, runs: list[Job]):
        self.results, self.runs = Path(path) / "results.csv", [run.name for run in runs]
        self.jobs: dict[str, Job] = {}
        self.folders: dict[str, Path] = {}
        self.teacher_of: dict[str, str] = {}
        self.running: set[str] = set()
        self.outcomes = {name: Outcome(name) for name in table.finished(self.results)}
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

    def status(self, name: str) -> str:
        """ "finished", "failed: ...", "running", or "waiting"."""
        folder = self.folders[name]
        if jobs.is_finished(folder) or (name in self.outcomes and not self.outcomes[name].reason):
            return "finished"
        if reason := jobs.failure(folder) or self.teacher_failure(name):
            return f"failed: {reason}"
        return "running" if name in self.running else "waiting"

    def teacher_failure(self, name: str) -> str:
        """Why the teacher that the run needs failed, or ""."""
        teacher = self.teacher_of.get(name)
        reason = jobs.failure(self.folders[teacher]) if teacher else ""
        return f"its teacher failed: {reason}" if reason else ""

    def is_ready(self, name: str) -> bool:
        """Whether the teacher that the run needs is there."""
        teacher = self.teacher_of.get(name)
        return teacher is None or jobs.is_finished(self.folders[teacher])

    def left(self) -> list[str]:
        """The jobs that wait, teachers before the runs that need them."""
        runs = [name for name in self.runs if self.status(name) == "waiting"]
        teachers = dict.fromkeys(self.teacher_of[name] for name in runs if name in self.teacher_of)
        return [name for name in (*teachers, *runs) if self.status(name) == "waiting"]

    def retry(self) -> None:
        """Let the jobs that failed be tried again."""
        for folder in self.folders.values():
            jobs.forgive(folder)

    def write_results(self) -> None:
        """Write results.csv: the runs that have ended; rows of other grids in the folder stay."""
        rows = []
        for name in self.runs:
            path, keys = self.folders[name] / "result.json", self.jobs[name].keys
            status = self.status(name)
            if path.exists():
                result = json.loads(path.read_text("utf-8"))
                rows.append(table.row(name, keys, result | self._teacher_seconds(name)))
            elif status.startswith("failed"):
                rows.append(table.row(name, keys, {}, status.removeprefix("failed: ")))
        table.update(self.results, rows)

    def _teacher_seconds(self, name: str) -> dict:
        """How long the training of the shared teacher took."""
        teacher = self.teacher_of.get(name)
        if teacher is None:
            return {}
        metrics = self.folders[teacher] / "metrics.jsonl"
        lines = metrics.read_text("utf-8").splitlines() if metrics.exists() else []
        return {"seconds_teacher": sum(json.loads(line)["seconds"] for line in lines)}


Listener = Callable[[Sweep, Outcome | None], None]  # each outcome as it comes, and None every TICK


def run(sweep: Sweep, executor: Executor, threads: int, listen: Listener) -> None:
    """Execute what is left, `threads` for each job; write results.csv anew as each of them ends.

    Where this is interrupted, the jobs that this process has begun save a checkpoint and end.
    """
    sweep.make()
    jobs.begin()
    futures: dict[Future, str] = {}
    try:
        while futures or sweep.left():
            for name in sweep.left():
                if sweep.is_ready(name):
                    sweep.running.add(name)
                    folder = str(sweep.folders[name].resolve())
                    futures[executor.submit(jobs.execute, sweep.jobs[name], folder, threads)] = name
            ended, _ = wait(futures, TICK, FIRST_COMPLETED)
            for future in ended:
                outcome = _outcome(sweep, future, futures.pop(future))
                sweep.outcomes[outcome.name] = outcome
                sweep.running.discard(outcome.name)
                sweep.write_results()
                listen(sweep, outcome)
            listen(sweep, None)
    except BaseException:
        for future in futures:
            future.cancel()
        jobs.interrupt()
        raise
    finally:
        sweep.write_results()


def _outcome(sweep: Sweep, future: Future, name: str) -> Outcome:
    """What the job says; of an executor that lost it, as a cluster without workers, a failure."""
    if future.cancelled():  # nobody here has cancelled it
        raise RuntimeError("the scheduler is gone: start it, and give the same command again")
    error = future.exception()
    if error is None:
        return future.result()
    return jobs.fail(sweep.folders[name], name, " ".join(str(error).split()) or repr(error))
