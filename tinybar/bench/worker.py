"""The process of one engine: `python -m tinybar.bench.worker MODULE [FOLDER]`.

It puts FOLDER first on sys.path and imports MODULE (see `engines.Engine`). It reads requests from
its standard input and answers on its standard output, one JSON object a line; it computes only
while a request waits for its answer. What libraries print goes to stderr.

    (at the start)                                  {versions, resident}  bytes, after the imports
    {do: prepare, name, case, seconds}              {step}                seconds of a warm step
    {do: prepare, name, convolution, part, threads, algorithm, seconds}   {step}
    {do: run, name, steps, unmeasured}              {seconds: [...]}
    {do: forget}                                    {}                    drops what was prepared
    {do: peak}                                      {peak}                bytes, since `prepare`

A request that fails is answered with {error}. The process ends with its standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..runtime import memory
from .case import Case, Convolution

WARM_STEPS = 3  # at least; compilers and caches of primitives are done by then


class Handler:
    """Has a method for each request."""

    def __init__(self, module: str, *folders: str):
        sys.path[:0] = folders
        self.module: Any = importlib.import_module(module)
        self.steps: dict[str, Callable[[], object]] = {}

    def hello(self) -> dict[str, Any]:
        return {"versions": self.module.versions(), "resident": memory.resident()}

    def prepare(
        self, name: str, seconds: float, case: Any = None, convolution: Any = None, **options: Any
    ) -> dict[str, Any]:
        if case is not None:
            step = self.module.prepare(Case(**case))
        else:
            step = self.module.prepare_convolution(Convolution.of(convolution), **options)
        memory.restart_peak()
        self.steps[name] = step
        end = time.perf_counter() + seconds
        times: list[float] = []
        while len(times) < WARM_STEPS or time.perf_counter() < end:
            times += _timed(step, 1)
        return {"step": min(times)}

    def run(self, name: str, steps: int, unmeasured: int) -> dict[str, Any]:
        step = self.steps[name]
        _timed(step, unmeasured)
        return {"seconds": _timed(step, steps)}

    def forget(self) -> dict[str, Any]:
        self.steps.clear()
        return {}

    def peak(self) -> dict[str, Any]:
        return {"peak": memory.peak()}


def _timed(step: Callable[[], object], steps: int) -> list[float]:
    """Seconds of each of `steps` steps."""
    times: list[float] = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times


def _answer(replies, make: Callable[[], dict[str, Any]]) -> bool:
    """Write what `make` returns, or the error that it raises. Returns whether it succeeded."""
    try:
        reply = make()
    except Exception as error:  # of any kind: the parent reports it
        message = " ".join(str(error).split())
        reply = {"error": f"{type(error).__name__}: {message}" if message else repr(error)}
    print(json.dumps(reply), file=replies, flush=True)
    return "error" not in reply


def main() -> None:
    """Serve the requests of one parent."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # no print of a library may look like an answer
        handler = None

        def start() -> dict[str, Any]:
            nonlocal handler
            handler = Handler(*sys.argv[1:])
            return handler.hello()

        if not _answer(replies, start):
            return
        for line in sys.stdin:
            request = json.loads(line)
            do = getattr(handler, request.pop("do"))
            _answer(replies, partial(do, **request))


if __name__ == "__main__":
    main()
