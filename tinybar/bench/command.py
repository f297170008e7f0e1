"""The options of `tinybar bench`: what they ask for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..runtime.threads import processors
from .case import SMALL, Case
from .launches import bench_launches
from .layers import bench_layers
from .results import bench, bench_run
from .runner import Listener


def execute(
    *,
    model: str | None,
    kind: str | None,
    image_shape: tuple[int, int, int] | None,
    classes: int | None,
    batch_size: int,
    gated: bool,
    threads: int | None,
    peers: str | None,
    run: Path | None,
    layers: bool,
    launches: bool,
    seconds: float | None,
    listen: Listener = lambda line: None,
) -> dict[str, Any]:
    """The results, fit for JSON. An option that is None has its default.

    Raises ValueError, in one line, for options that are out of range or exclude each other, and
    WorkerError where an engine fails.
    """
    if launches:
        fixed = {
            "--case": kind, "--gated": gated or None, "--threads": threads, "--peers": peers,
            "--run": run, "--layers": layers or None, "--seconds": seconds,
        }  # fmt: skip
        if given := [name for name, value in fixed.items() if value is not None]:
            raise ValueError(f"--launches counts one gated step: leave out {given[0]}")
        return bench_launches(model, image_shape, classes, batch_size)
    seconds = (60.0 if layers else 10.0) if seconds is None else seconds
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"--seconds must be positive, got {seconds}")
    threads = processors() if threads is None else threads
    if run is not None:
        chosen = {
            "MODEL": model, "--image-shape": image_shape, "--classes": classes,
            "--gated": gated or None, "--layers": layers or None,
        }  # fmt: skip
        given = [name for name, value in chosen.items() if value is not None]
        if given:
            raise ValueError(f"--run has its own networks: leave out {given[0]}")
        case = Case(kind or "infer", SMALL, batch_size=batch_size, threads=threads)
        return bench_run(run, case, peers, seconds, listen)
    case = Case(
        kind or "step", model or "wrn-16-1", image_shape or (32, 32, 3), classes or 10,
        batch_size, gated, threads,
    )  # fmt: skip
    if case.is_saved:
        raise ValueError(f"a saved network is timed with --run RUN, not as MODEL {model!r}")
    if layers and (gated or kind is not None):
        raise ValueError("--layers times single convolutions: leave out --gated and --case")
    case.build()  # an impossible network is reported before any process starts
    measure = bench_layers if layers else bench
    return measure(case, peers, seconds, listen)
