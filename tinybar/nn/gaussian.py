"""Gates with Gaussian noise, of the variational information bottleneck [Dai et al. 2018]."""

from __future__ import annotations

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor
from ..runtime import random
from ..runtime.arrays import to_numpy
from ..runtime.graphs import fed
from .gates import Gate
from .module import Parameter

FLOOR = 2.0  # mu / sigma to which `keep_one` raises the highest: open with probability 0.977


class Gaussian(Gate):
    """z = max(0, mu + sigma epsilon),   epsilon ~ N(0, 1).

    mu, log_sigma: (C,), drawn from N(1, 0.01^2) and N(-9, 0.01^2) (Supp. 4). A channel dies iff
    sigma^2 / mu^2 >= 1, the threshold of the method's own code.

    The method has no max: a z below 0 turns a channel's sign, which what reads it can turn back.
    Here z > 0 means open and z relu(y) = relu(z y), so z stops at 0. That matters only where mu is
    of the size of sigma, for channels that are about to die.

    Everything is a function of sigma and of the ratio mu / sigma, which is the score.
    """

    joins = True
    closed, reopened = 0.0, 1.1  # z = 0 and z = 1.1 sigma at the mean noise

    def __init__(self, channels: int):
        stream = random.stream("init")
        self.mu: Parameter = Parameter(stream.normal(1.0, 0.01, channels).astype(np.float32))
        self.log_sigma: Parameter = Parameter(
            stream.normal(-9.0, 0.01, channels).astype(np.float32)
        )

    def ratio(self) -> Tensor:
        """mu / sigma (C,), of which `keep_one` raises the highest to FLOOR."""
        return self.keep_best(self.mu / ag.exp(self.log_sigma), FLOOR)

    def sample(self) -> Tensor:
        """sigma max(0, mu / sigma + epsilon), one epsilon per channel; `mean` in evaluation."""
        if not self.training:
            return self.mean()
        return ag.exp(self.log_sigma) * ag.relu(self.ratio() + fed(self._noise))

    def _noise(self) -> np.ndarray:
        return random.stream("gates").standard_normal(self.mu.shape).astype(self.mu.dtype)

    def mean(self) -> Tensor:
        """mu, and 0 where sigma >= mu."""
        ratio = self.ratio()
        return ag.exp(self.log_sigma) * ag.where(ratio > 1, ratio, 0)

    def probability_open(self) -> Tensor:
        """P(mu + sigma epsilon > 0) = Phi(mu / sigma)."""
        return ag.normal_cdf(self.ratio())

    def priors(self) -> Tensor:
        """1/2 ln(1 + mu^2 / sigma^2): the least KL(N(mu, sigma^2) || N(0, s^2)) over s."""
        return ag.log(1 + self.ratio() ** 2) * 0.5

    def scores(self) -> np.ndarray:
        """mu / sigma, of which `keep_one` raises the highest."""
        return np.array(to_numpy(self.ratio().data))

    def set_score(self, channel: int, score: float) -> None:
        """Overwrite an entry of mu, so that mu / sigma is the score."""
        sigma = to_numpy(ag.exp(self.log_sigma).data)[channel]
        self.mu.overwrite(channel, score * sigma)  # as rounded: put back, it opens and closes none
