"""What one training step asks of a GPU: kernels, reads, copies, allocations, by primitive.

The stand-in for CuPy in tests/gpu/standin counts them, without a GPU. It is a dry run, at the real
sizes: only what is small is computed, such as gates and V, for on them depends what is asked next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import __version__, pruning
from ..autograd import Primitive, Tensor
from ..autograd.tape import Node
from ..pruning.methods.bar import BudgetAwarePenalty
from ..runtime import arrays, random
from ..train.config import Config
from ..train.data_loss import Minibatch, cross_entropy
from ..train.loop import Sums, optimizer_of
from ..train.step import train_step
from .case import Case

NETWORKS = {"wrn-28-12": (32, 32, 3), "wrn-16-4": (32, 32, 3), "resnet50": (128, 128, 3)}
KINDS = ("launches", "reads", "copies", "allocations")
HOW = "PYTHONPATH=tests/gpu/standin tinybar bench --launches"  # in the source tree
ITERATIONS = 1000  # of a stage whose middle is counted: the barrier presses there


def bench_launches(model: Any, image_shape: Any, classes: Any, batch_size: int) -> dict[str, Any]:
    """The counts of gated steps with V and L_BAR, fit for JSON. None stands for the defaults.

    Raises ValueError, which says how to run it, where CuPy is not the stand-in.
    """
    standin = _standin()
    names = NETWORKS if model is None else [model]
    before = arrays.device()
    arrays.use_device("gpu")
    try:
        networks = {}
        for name in names:
            shape = image_shape or NETWORKS.get(name, (32, 32, 3))
            case = Case("step", name, shape, classes or 10, batch_size, gated=True, threads=1)
            networks[name] = _network(case, standin)
    finally:
        arrays.use_device(before)
    return {"launches": networks, "batch_size": batch_size, "tinybar": __version__}


def _standin():
    """The stand-in's module of counts."""
    try:
        from cupy import standin
    except ImportError:
        raise ValueError(f"a stand-in for CuPy counts launches: {HOW}") from None
    return standin


def _network(case: Case, standin) -> dict[str, Any]:
    """The counts of one step, its second: {"total": by kind, "places": {place: by kind}}."""
    with standin.dry(), np.errstate(all="ignore"):
        step = gated_step(case, standin)
        step()
        with standin.counting() as counts:
            step()
    places: dict[str, dict[str, int]] = {}
    for (place, kind, _), n in counts.items():
        found = places.setdefault(place, dict.fromkeys(KINDS, 0))
        found[kind] += n
    total = {kind: sum(found[kind] for found in places.values()) for kind in KINDS}
    return {"image_shape": list(case.image_shape), "total": total, "places": places}


def gated_step(case: Case, counter: Any) -> Callable[[], None]:
    """A gated step of BAR, as `train_epoch` makes it, on a batch that is on the device.

    counter: its `place` says whose work is done.
    """

    def at(place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args):
            with _place(counter, place):
                return function(*args)

        return counted

    net: Any = case.build().train()
    cost = pruning.COSTS["volume"]
    penalty = BudgetAwarePenalty(net, cost, cost.full(net) // 4, ITERATIONS)
    optimizer = optimizer_of(net, Config(), ITERATIONS)
    optimizer.step = at("Adam", optimizer.step)  # type: ignore[method-assign]
    images, labels = (arrays.to_device(array) for array in case.batch())
    batch = Minibatch(Tensor(images), labels, arrays.to_device(np.arange(case.batch_size)))
    sums = Sums()

    def step() -> None:
        random.seed(0)
        with _by_primitive(counter), _place(counter, "network"):
            made = train_step(
                net, optimizer, cross_entropy, at("V and b", penalty), batch, ITERATIONS // 2
            )
            at("sums of the epoch", sums.add)(batch, *made)

    return step


@contextmanager
def _place(standin, place: str) -> Iterator[None]:
    """What is asked for in the block counts as asked there."""
    before, standin.place = standin.place, place
    try:
        yield
    finally:
        standin.place = before


@contextmanager
def _by_primitive(standin) -> Iterator[None]:
    """In the block every primitive and every pullback is a place of its own."""

    def at(place: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(self, *args, **options):
            with _place(standin, place(self)):
                return function(self, *args, **options)

        return counted

    patched = (
        (Primitive, "__call__", lambda primitive: primitive.name),
        (Node, "pull", lambda node: f"{node.name}, pullback"),
        (Tensor, "backward", lambda tensor: "sums of the tape"),
    )
    functions = [getattr(owner, name) for owner, name, _ in patched]
    try:
        for (owner, name, place), function in zip(patched, functions, strict=True):
            setattr(owner, name, at(place, function))
        yield
    finally:
        for (owner, name, _), function in zip(patched, functions, strict=True):
            setattr(owner, name, function)
