"""What is written down: the machine, the versions, every time, and what follows from them."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from .. import __version__, pruning
from ..runtime import blas, threads
from ..train.folder import RunFolder
from ..train.models import load_model
from .case import Case
from .engines import choose_peers
from .runner import Listener, Measured, compare


def bench(case: Case, peers: str | None, seconds: float, listen: Listener) -> dict[str, Any]:
    """Times of the case in tinybar and its peers, fit for JSON."""
    names, missing = choose_peers(peers, case)
    measured = compare({name: (name, case) for name in ["tinybar", *names]}, seconds, listen)
    return header(case, seconds) | _beside("tinybar", measured) | {"missing": missing}


def bench_run(
    run: Path, case: Case, peers: str | None, seconds: float, listen: Listener
) -> dict[str, Any]:
    """Times of a run's compact and full network, and the share of the FLOP reduction realised.

    The case's network, image_shape and classes are replaced by those of the run. Peers run the same
    two networks, called "full, PEER" and "compact, PEER". Raises ValueError if `run` is no run.
    """
    folder = RunFolder.open(run)
    cases: dict[str, Case] = {}
    flops: dict[str, int] = {}
    for size, path in (("full", folder.teacher), ("compact", folder.pruned)):
        model, _ = load_model(path)
        shape: dict[str, Any] = {"image_shape": model.image_shape, "classes": model.num_classes}
        cases[size] = dataclasses.replace(case, network=str(path), **shape)
        flops[size] = pruning.flops(model)
    names, missing = choose_peers(peers, cases["compact"])
    contenders = {size: ("tinybar", c) for size, c in cases.items()}
    contenders |= {f"{size}, {n}": (n, c) for n in names for size, c in cases.items()}
    measured = compare(contenders, seconds, listen)
    factor = flops["full"] / flops["compact"]

    def realised(compact: str, full: str) -> dict[str, Any]:
        speedup = _ratio(measured[compact], measured[full])["ratio"]
        return {"speedup": speedup, "share": speedup / factor}

    def of_peer(peer: str) -> dict[str, Any]:
        ratios = {size: _ratio(measured[size], measured[f"{size}, {peer}"]) for size in cases}
        return {**realised(f"compact, {peer}", f"full, {peer}"), "ratios": ratios}

    return {
        **header(cases["compact"], seconds),
        **_beside("compact", measured),
        "missing": missing,
        "run": {
            "path": str(run),
            "flops_full": flops["full"],
            "flops": flops["compact"],
            "flop_factor": factor,
            **realised("compact", "full"),
            "peers": {name: of_peer(name) for name in names},
        },
    }


def header(case: Case, seconds: float) -> dict[str, Any]:
    """What every result begins with."""
    return {
        "tinybar": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        "threads": case.threads,
        "seconds": seconds,
        "title": case.title(),
        "case": case.as_dict(),
    }


def machine() -> dict[str, Any]:
    """The processor, its cores, the system and the version of Python."""
    return {
        "processor": blas.processor_name(),
        "cores": threads.processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _beside(reference: str, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """All that was measured, and the ratios of the reference to each of the others."""
    others = {name: result for name, result in measured.items() if name != reference}
    return {
        "engines": {name: _engine(result) for name, result in measured.items()},
        "ratios": {name: _ratio(measured[reference], result) for name, result in others.items()},
    }


def _engine(measured: Measured) -> dict[str, Any]:
    """rounds: seconds of every step, round by round."""
    times = [t for turn in measured.rounds for t in turn]
    summary = milliseconds(times)
    return {
        "versions": measured.versions,
        **summary,
        "steps": len(times),
        "images_per_second": 1000 * measured.case.batch_size / summary["median_ms"],
        "resident_bytes": measured.resident,
        "peak_bytes": measured.peak,
        "rounds": [[round(t, 7) for t in turn] for turn in measured.rounds],
    }


def _ratio(ours: Measured, theirs: Measured) -> dict[str, Any]:
    ratio, lower, upper = speed_ratio(ours.rounds, theirs.rounds)
    memory = ours.peak / theirs.peak if ours.peak and theirs.peak else None
    return {"ratio": ratio, "lower": lower, "upper": upper, "memory": memory}


# --- statistics ----------------------------------------------------------------------------------


class Summary(NamedTuple):
    """Median, lower and upper quartile, and minimum of times, in their unit."""

    median: float
    lower: float
    upper: float
    fastest: float


def summarise(times: Sequence[float]) -> Summary:
    """The Summary of times. ValueError unless there is one, and all are finite and > 0."""
    if not times or not all(math.isfinite(t) and t > 0 for t in times):
        raise ValueError(f"times are positive numbers, at least one; got {list(times)[:5]}")
    middle = lower = upper = median(times)
    if len(times) > 1:
        lower, _, upper = quantiles(times, n=4, method="inclusive")
    # Interpolation rounds: equal times may come out an ulp apart.
    return Summary(middle, min(lower, middle), max(upper, middle), min(times))


def milliseconds(times: Sequence[float]) -> dict[str, float]:
    """The summary of times in seconds: median_ms, lower_ms, upper_ms and fastest_ms."""
    return {f"{name}_ms": 1000 * value for name, value in summarise(times)._asdict().items()}


def speed_ratio(ours: list[list[float]], theirs: list[list[float]]) -> tuple[float, float, float]:
    """(ratio, lower, upper) of speeds, ours : theirs; above 1, ours is faster.

    ours, theirs: the times of every round. Both turns of a round meet the machine at nearly the
    same moment, so the ratio of their medians is taken round by round; the result is the median and
    the quartiles of these ratios.
    """
    summary = summarise([median(b) / median(a) for a, b in zip(ours, theirs, strict=True)])
    return summary.median, summary.lower, summary.upper
