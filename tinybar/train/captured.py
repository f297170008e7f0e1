"""The gradients of a step as a CUDA graph: some 500 launches are one then.

Python asks for each launch by itself, which takes it longer than a GPU needs for a small layer.
All shapes of a stage are the same in every step; what differs is fed: the minibatch, the gates'
noise, and the numbers of the penalty. Adam's step, a few launches, is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..nn import Adam, Module
from ..pruning.methods import PenaltyInHalves
from ..runtime import random, ranks
from ..runtime.graphs import Graph, are_used, fed
from .data_loss import DataLoss, Minibatch
from .step import Gradients, Step, gradients

WARM_UP = 2  # steps before: libraries load, kernels are compiled, memory is found


def gradients_of_a_stage(penalty: Any, warn: Callable[[str], None]) -> Gradients:
    """How the steps of a stage compute gradients: recorded, where that is possible and wanted."""
    is_known = penalty is None or isinstance(penalty, PenaltyInHalves)
    if not are_used() or not is_known or ranks.size() > 1:  # NCCL in a graph was never tried
        return gradients
    return Captured(warn)


class Captured:
    """`gradients` (step.py), recorded at the third step. Where that fails, it says so once."""

    def __init__(self, warn: Callable[[str], None]):
        self.warn: Callable[[str], None] = warn
        self.steps: int = 0
        self.failed: bool = False
        self.graph: Any = None
        self.numbers: Any = None

    def __call__(
        self,
        net: Module,
        optimizer: Adam,
        data_loss: DataLoss,
        penalty: Any,
        batch: Minibatch,
        iteration: int,
    ) -> Step:
        if self.failed:
            return gradients(net, optimizer, data_loss, penalty, batch, iteration)
        term: Any = None
        if penalty is not None:  # its loss also where f is 0: what is recorded is what warmed up
            self.numbers = penalty.numbers(iteration)
            term = lambda _: self.numbers._replace(loss=penalty.loss(*self._fed()))  # noqa: E731
        inputs: tuple[Any, ...] = net, optimizer, data_loss, term
        self.steps += 1
        if self.steps <= WARM_UP or (self.graph is None and not self._record(inputs, batch)):
            compute: Gradients = gradients
            return compute(*inputs, batch, iteration)
        for fixed, given in zip(_arrays(self.batch), _arrays(batch), strict=True):
            fixed[...] = given
        self.graph.launch()
        for parameter, gradient in self.found:
            parameter.grad = gradient
        logits, loss_data, term = self.step
        if term is not None:
            term = self.numbers._replace(loss=term.loss)
        return Step(logits, loss_data, term)

    def _record(self, inputs: tuple[Any, ...], batch: Minibatch) -> bool:
        """Record a step. False where that is not possible: nothing has happened then."""
        before = random.streams_state()
        x, labels, index = (array.copy() for array in _arrays(batch))
        self.batch, graph = batch._replace(x=Tensor(x), labels=labels, index=index), Graph()
        try:
            with graph.recorded():
                compute: Gradients = gradients
                self.step = compute(*inputs, self.batch, 0)
        except Exception as error:  # of any kind, from the driver up
            random.restore_streams(before)
            self.failed, reason = True, " ".join(str(error).split())
            self.warn(f"steps are not recorded as a CUDA graph, and take longer: {reason}")
            return False
        self.found = [(p, p.grad) for p in inputs[0].parameters() if p.grad is not None]
        self.graph = graph
        return True

    def _fed(self) -> tuple[Tensor, Tensor]:
        """f and b of the step."""
        both = fed(lambda: np.array([self.numbers.f, self.numbers.b or 0.0], np.float32))
        return Tensor(both[0]), Tensor(both[1])


def _arrays(batch: Minibatch) -> tuple[Any, ...]:
    return batch.x.data, batch.labels, batch.index
