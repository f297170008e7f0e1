"""Gates: random variables z that close channels (Section 3.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor, no_grad
from ..autograd.gates import THRESHOLD
from ..runtime import random
from ..runtime.arrays import to_numpy
from ..runtime.graphs import fed
from .module import Module, Parameter

FLOOR = 0.0  # log alpha to which `keep_one` raises the highest: where training starts
NOISE_MARGIN = 1e-6  # epsilon is drawn from (margin, 1 - margin): its logit is finite


class Gate(Module, ABC):
    """One gate z >= 0 per channel; y = x z (Eq. 2).   x, y: (..., C), z: (C,).

    What `sample`, `mean` and `probability_open` return is differentiable in the gate's parameters,
    which are not counted as the network's and get no weight decay.

    keep_one: whether closing all gates would cut the network in two ("fatal pruning",
    Section 4.1). Then `keep_best` keeps the best channel alive, in all that the gate computes.
    closed, reopened: scores of a channel that is closed, and of one that is alive with a small z.
    joins: whether a channel depends on its own parameters alone (`gate_vector.py`). Not inherited.
    """

    keep_one = joins = False
    kept: tuple[slice, ...] | None = None  # slices whose best is kept, in place of `keep_one`
    closed: float
    reopened: float

    def forward(self, x: Tensor) -> Tensor:
        """x z."""
        return x * self.sample()

    def alive(self) -> np.ndarray:
        """(C,) booleans on the host: z > 0 at the mean noise (Eq. 4)."""
        with no_grad():  # by z itself, as rounded: parameters at the threshold may differ
            return to_numpy(self.mean().data) > 0

    def keep_best(self, location: Tensor, floor: float) -> Tensor:
        """location (C,), with its highest entry raised to at least `floor` under `keep_one`."""
        everything = (slice(0, location.size),) if self.keep_one else ()
        slices = everything if self.kept is None else self.kept
        return ag.raise_best(location, slices, floor) if slices else location

    @abstractmethod
    def sample(self) -> Tensor:
        """z: (C,), random in training, at the mean noise in evaluation."""

    @abstractmethod
    def mean(self) -> Tensor:
        """z: (C,), with the noise replaced by its mean (Section 3.1)."""

    @abstractmethod
    def probability_open(self) -> Tensor:
        """P(z > 0): (C,)."""

    def priors(self) -> Tensor:
        """The gates' own sparsity loss by channel: P(z > 0), (C,)."""
        return self.probability_open()

    def prior(self) -> Tensor:
        """The gates' own sparsity loss L_S, a scalar: L_HC = sum P(z > 0)   (Supp. Eq. 5)."""
        return ag.sum(self.priors())

    @abstractmethod
    def scores(self) -> np.ndarray:
        """A copy of the scores (C,), on the host, after `keep_best`: the lowest close first."""

    @abstractmethod
    def set_score(self, channel: int, score: float) -> None:
        """Overwrite the score of a channel."""


GateFactory = Callable[[int], Gate]  # the number of channels -> their gates


class HardConcrete(Gate):
    """Hard-concrete gates, z in [0, 1] (Supp. 7).

    log_alpha: (C,), the location, drawn from U(0, 0.01) (Supp. 4). A channel is alive iff
    log_alpha > -1.5986, where z at the mean noise leaves 0.
    """

    joins = True
    closed, reopened = THRESHOLD - 1.0, THRESHOLD + 0.1  # z = 0 and z = 0.015 at the mean noise

    def __init__(self, channels: int):
        start = random.stream("init").uniform(0.0, 0.01, channels)
        self.log_alpha: Parameter = Parameter(start.astype(np.float32))

    def location(self) -> Tensor:
        """log_alpha (C,), of which `keep_one` raises the highest to FLOOR."""
        return self.keep_best(self.log_alpha, FLOOR)

    def sample(self) -> Tensor:
        """Supp. Eq. 4, with one epsilon per channel and minibatch; `mean` in evaluation."""
        if not self.training:
            return self.mean()
        return ag.hard_concrete(self.location(), epsilon=fed(self._noise))

    def _noise(self) -> np.ndarray:
        uniform = random.stream("gates").random(self.log_alpha.shape)
        return (NOISE_MARGIN + (1 - 2 * NOISE_MARGIN) * uniform).astype(self.log_alpha.dtype)

    def mean(self) -> Tensor:
        """Supp. Eq. 4 at epsilon = 1/2."""
        return ag.hard_concrete(self.location(), epsilon=0.5)

    def probability_open(self) -> Tensor:
        """Supp. Eq. 5."""
        return ag.probability_open(self.location())

    def scores(self) -> np.ndarray:
        """The location: log_alpha, of which `keep_one` raises the highest."""
        return np.array(to_numpy(self.location().data))

    def set_score(self, channel: int, score: float) -> None:
        """Overwrite an entry of log_alpha."""
        self.log_alpha.overwrite(channel, score)
