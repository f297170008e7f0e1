"""How it is timed: each engine in a process of its own, all in turns; one computes at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from .case import Case
from .engines import ENGINES

Key = TypeVar("Key")
Listener = Callable[[str], None]  # is called with a line about what is going on

WARM_UP = 0.5  # seconds
TURN = 0.25  # seconds at most that an engine computes before the next one has its turn
LEAST_ROUNDS = 5
REST = 0.1  # seconds; idle threads of OpenBLAS spin for 25 ms before they sleep, onnxruntime's 45
LONG = 0.5  # seconds; a step this long does not feel what happened before it
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "NUM_CPU_THREADS",  # tinygrad's
)  # fmt: skip


# --- a process -----------------------------------------------------------------------------------


class WorkerError(RuntimeError):
    """An engine failed at a request, or its process died."""


class Worker:
    """The process of one engine, a context manager. `worker.py` lists the requests."""

    def __init__(self, engine: str, threads: int):
        self.engine = engine
        self.environ: dict[str, str] = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        self.environ |= ENGINES[engine].environ
        module, folder = ENGINES[engine].module, ENGINES[engine].folder
        self._arguments = [module] if folder is None else [module, str(folder)]

    def __enter__(self) -> Worker:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", *self._arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env=self.environ, text=True, encoding="utf-8",
        )  # fmt: skip
        try:
            self.hello = self._reply()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stdin):
            with suppress(BrokenPipeError):  # a request that was never read
                if stream is not None:
                    stream.close()
        self._errors.close()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request. Raises WorkerError if it fails or the process has ended."""
        with suppress(BrokenPipeError):  # _reply raises
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        return self._reply()

    def run(self, name: str) -> Callable[[int, int], list[float]]:
        """The `run` of a Turn, for what was prepared under that name."""
        return lambda steps, unmeasured: self.ask(
            "run", name=name, steps=steps, unmeasured=unmeasured
        )["seconds"]

    def _reply(self) -> dict[str, Any]:
        answers = self._process.stdout
        line = answers.readline() if answers is not None else ""
        if not line:
            raise WorkerError(f"the process of {self.engine} {self._cause_of_death()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{self.engine}: {reply['error']}")
        return reply

    def _cause_of_death(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        if code < 0:
            memory = ", perhaps for want of memory" if code == -9 else ""
            return f"was killed by signal {-code}{memory}{said}"
        return f"ended with exit code {code}{said}"


# --- turns ---------------------------------------------------------------------------------------


@dataclass
class Turn:
    """What one contender does in every round.

    run: (steps, unmeasured) -> the seconds of each of `steps` steps, after `unmeasured` others.
    step: about how many seconds a step takes. process: the name of the process that runs it.
    """

    run: Callable[[int, int], list[float]]
    step: float
    process: str


def interleave(turns: Mapping[Key, Turn], seconds: float) -> dict[Key, list[list[float]]]:
    """The times of every round, by name. All take turns, for `seconds` and at least five rounds.

    A turn has as many steps as fit into a quarter of a second, or into its share of five rounds if
    that is shorter. It begins when the threads of the previous process are at rest. Unless a step
    is long, one is run unmeasured first, since the previous process left its data in the caches.
    """
    rounds: dict[Key, list[list[float]]] = {name: [] for name in turns}
    length = min(TURN, seconds / (LEAST_ROUNDS * len(turns)))
    end, done, last = time.perf_counter() + seconds, 0, None
    while done < LEAST_ROUNDS or time.perf_counter() < end:
        for name, turn in turns.items():
            if turn.process != last:
                time.sleep(REST)
            steps, last = max(1, round(length / turn.step)), turn.process
            rounds[name].append(turn.run(steps, int(turn.step < LONG)))
        done += 1
    return rounds


@dataclass
class Measured:
    """Times of a contender in seconds, its memory in bytes (None where the system hides it)."""

    engine: str
    case: Case
    versions: dict[str, str]
    rounds: list[list[float]]
    resident: int | None  # after the imports
    peak: int | None


def compare(
    contenders: Mapping[str, tuple[str, Case]], seconds: float, listen: Listener = lambda line: None
) -> dict[str, Measured]:
    """Time contenders, each (engine, case), in turns, for `seconds` in all; by name.

    Each has a process of its own, so that each has its own peak memory and its own libraries.
    """
    with ExitStack() as stack:
        workers, turns = {}, {}
        for name, (engine, case) in contenders.items():
            listen(f"{name}: warming up")
            workers[name] = worker = stack.enter_context(Worker(engine, case.threads))
            warm = worker.ask("prepare", name=name, case=case.as_dict(), seconds=WARM_UP)
            turns[name] = Turn(worker.run(name), warm["step"], name)
        listen("taking turns")
        rounds = interleave(turns, seconds)
        return {
            name: Measured(
                engine=engine,
                case=case,
                versions=workers[name].hello["versions"],
                rounds=rounds[name],
                resident=workers[name].hello["resident"],
                peak=workers[name].ask("peak")["peak"],
            )
            for name, (engine, case) in contenders.items()
        }
