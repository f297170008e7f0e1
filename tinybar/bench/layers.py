"""Convolution by convolution: every algorithm of tinybar, and the peers' choices."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from .. import autograd as ag
from ..autograd.conv.convolution import ALGORITHMS, choose_algorithm
from ..autograd.windows import Geometry
from ..nn.networks.residual import ResidualNetwork
from ..pruning import sites
from .case import PARTS, Case, Convolution
from .engines import ENGINES, choose_peers
from .results import header, milliseconds
from .runner import Listener, Turn, Worker, interleave

WARM_UP = 0.05  # seconds, for each algorithm and part

Times = dict[tuple[str, str], dict[str, list[float]]]  # seconds, by engine and algorithm, by part


def bench_layers(case: Case, peers: str | None, seconds: float, listen: Listener) -> dict[str, Any]:
    """Times of every distinct convolution of the case's network, fit for JSON."""
    names, missing = choose_peers(peers, case)
    layers, rows = distinct(case), []
    with ExitStack() as stack:
        engines = ["tinybar", *names]
        workers = {name: stack.enter_context(Worker(name, case.threads)) for name in engines}
        for shapes, owners in layers.items():
            listen(f"{owners[0]}, one of {len(owners)}")
            times = measure(shapes, workers, case.threads, seconds / len(layers))
            rows.append(_row(shapes, owners, times))
        versions = {name: worker.hello["versions"] for name, worker in workers.items()}
    return {
        **header(case, seconds),
        "title": f"convolutions of {case.title().partition(' of ')[2]}",
        "versions": versions,
        "layers": rows,
        "missing": missing,
    }


def distinct(case: Case) -> dict[Convolution, list[str]]:
    """The shapes of the network's convolutions in order, each with the layers that have it.

    Raises ValueError for a network that is no residual network.
    """
    model = case.build()
    if not isinstance(model, ResidualNetwork):
        raise ValueError(f"--layers is for residual networks, not for {case.network!r}")
    found: dict[Convolution, list[str]] = {}
    for site in sites(model):
        conv, x = site.conv, (case.batch_size, *site.size, site.conv.c_in)
        padding, stride = _pair(conv.padding), _pair(conv.stride)
        weight: Any = tuple(conv.weight.shape)
        shapes = Convolution(x, weight, stride, padding)
        found.setdefault(shapes, []).append(site.name)
    return found


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def algorithms(shapes: Convolution) -> list[str]:
    """tinybar's algorithms that can compute the convolution."""
    return [name for name in ALGORITHMS if name != "auto" and _computes(name, shapes)]


def _computes(algorithm: str, shapes: Convolution) -> bool:
    """Tried with one image, in float64, so that no kernel is compiled for it."""
    x, weight = np.zeros((1, *shapes.x[1:])), np.zeros(shapes.weight)
    try:
        ag.conv2d.function(x, weight, None, shapes.stride, shapes.padding, algorithm=algorithm)
    except ValueError:
        return False
    return True


def chosen_algorithm(shapes: Convolution) -> str:
    """The algorithm that tinybar chooses by itself."""
    geometry = Geometry.of(shapes.weight[:2], shapes.stride, shapes.padding)
    return choose_algorithm(geometry, shapes.x, shapes.weight)


def measure(
    shapes: Convolution, workers: Mapping[str, Worker], threads: int, seconds: float
) -> Times:
    """Times of all parts; a peer has the one algorithm "auto"."""
    found: Times = {}
    for part in PARTS:
        turns = {}
        for engine, worker in workers.items():
            is_peer = bool(ENGINES[engine].needs)
            for algorithm in ["auto"] if is_peer else algorithms(shapes):
                warm = worker.ask(
                    "prepare", name=algorithm, convolution=shapes.as_dict(), part=part,
                    threads=threads, algorithm=algorithm, seconds=WARM_UP,
                )  # fmt: skip
                turns[engine, algorithm] = Turn(worker.run(algorithm), warm["step"], engine)
        for key, rounds in interleave(turns, seconds / len(PARTS)).items():
            found.setdefault(key, {})[part] = [t for times in rounds for t in times]
        for worker in workers.values():
            worker.ask("forget")
    return found


def _row(shapes: Convolution, owners: list[str], times: Times) -> dict[str, Any]:
    return {
        "names": owners,
        **shapes.as_dict(),
        "flops": shapes.flops,
        "chosen": chosen_algorithm(shapes),
        "times": [
            {"engine": engine, "algorithm": algorithm}
            | {part: _part(shapes, part, parts[part]) for part in PARTS}
            for (engine, algorithm), parts in times.items()
        ],
    }


def _part(shapes: Convolution, part: str, times: list[float]) -> dict[str, Any]:
    """gflops: GFLOP/s of the direct algorithm's operations, whatever the algorithm."""
    summary = milliseconds(times)
    flops = shapes.flops * (2 if part == "backward" else 1)
    return summary | {"gflops": flops / summary["median_ms"] / 1e6}
