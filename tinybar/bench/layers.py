"""Convolution by convolution: every algorithm of tinybar, and PyTorch's choice."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from .. import autograd as ag
from ..autograd.conv.convolution import ALGORITHMS, choose_algorithm
from ..autograd.windows import Geometry
from ..nn.networks.residual import ResidualNetwork
from ..pruning import sites
from .case import PARTS, Case, Convolution
from .engines import ENGINES
from .runner import Listener, Worker
from .timing import Summary, Turn, interleave, summarise

WARM_UP = 0.05  # seconds, for each of the many


@dataclass
class Layer:
    """A shape of convolution and the layers that have it.

    times: of every part, by engine and algorithm, in seconds.
    """

    shapes: Convolution
    names: list[str] = field(default_factory=list)
    times: dict[tuple[str, str], dict[str, Summary]] = field(default_factory=dict)

    def gflops(self, key: tuple[str, str], part: str) -> float:
        """GFLOP/s of the direct algorithm's count: one that saves multiplications shows more."""
        count = self.shapes.flops * (2 if part == "backward" else 1)
        return count / self.times[key][part].median / 1e9

    @property
    def chosen(self) -> str:
        """The algorithm that tinybar chooses for this shape."""
        kernel, stride, padding = self.shapes.weight[:2], self.shapes.stride, self.shapes.padding
        geometry = Geometry.of(kernel, stride, padding)
        return choose_algorithm(geometry, self.shapes.x, self.shapes.weight)


def distinct(case: Case) -> list[Layer]:
    """The distinct convolution shapes of the case's network, in order of appearance.

    Raises ValueError for a network that is no residual network.
    """
    model = case.build()
    if not isinstance(model, ResidualNetwork):
        raise ValueError(f"--layers is for residual networks, not for {case.network!r}")
    found: dict[Convolution, Layer] = {}
    for site in sites(model):
        conv, x = site.conv, (case.batch_size, *site.size, site.conv.c_in)
        padding, stride = _pair(conv.padding), _pair(conv.stride)
        shapes = Convolution(x, tuple(conv.weight.shape), stride, padding)
        found.setdefault(shapes, Layer(shapes)).names.append(site.name)
    return list(found.values())


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def algorithms(shapes: Convolution) -> list[str]:
    """tinybar's algorithms that can compute the convolution."""
    return [name for name in ALGORITHMS if name != "auto" and _takes(name, shapes)]


def _takes(algorithm: str, shapes: Convolution) -> bool:
    """Found out by trying, with one image, in float64: no kernel is compiled for it."""
    x, weight = np.zeros((1, *shapes.x[1:])), np.zeros(shapes.weight)
    try:
        ag.conv2d.function(x, weight, None, shapes.stride, shapes.padding, algorithm=algorithm)
    except ValueError:
        return False
    return True


def measure(
    layers: list[Layer],
    engines: list[str],
    threads: int,
    seconds: float,
    listen: Listener = lambda line: None,
) -> dict[str, dict[str, str]]:
    """Fill in the times of all layers, about `seconds` for each; the engines' versions."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name, threads)) for name in engines}
        for layer in layers:
            listen(f"{layer.names[0]}, one of {len(layer.names)}")
            for part in PARTS:
                turns = {
                    (engine, algorithm): _prepared(worker, layer.shapes, part, threads, algorithm)
                    for engine, worker in workers.items()
                    for algorithm in (algorithms(layer.shapes) if _is_ours(engine) else ["auto"])
                }
                for key, times in interleave(turns, seconds / len(PARTS)).items():
                    flat = [t for turn in times for t in turn]
                    layer.times.setdefault(key, {})[part] = summarise(flat)
                for worker in workers.values():
                    worker.ask("forget")
        return {name: worker.hello["versions"] for name, worker in workers.items()}


def _is_ours(engine: str) -> bool:
    return not ENGINES[engine].needs


def _prepared(worker: Worker, shapes: Convolution, part: str, threads: int, algorithm: str) -> Turn:
    warm = worker.ask(
        "prepare", name=algorithm, convolution=shapes.as_dict(), part=part, threads=threads,
        algorithm=algorithm, seconds=WARM_UP,
    )  # fmt: skip
    return Turn(worker.run(algorithm), warm["step"], worker.engine)
