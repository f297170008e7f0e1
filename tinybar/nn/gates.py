"""Gates: the random variables z that switch feature maps off (Section 3.1)."""

from __future__ import annotations

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor, no_grad
from ..runtime import random
from ..runtime.arrays import array_module, to_device, to_numpy
from .module import Module, Parameter

FLOOR = 0.0  # log alpha at which a lone vital feature is kept: as likely to be open as at the start
NOISE_MARGIN = (
    1e-6  # the noise is drawn from (margin, 1 - margin): at 0 and 1 its logit is infinite
)


class HardConcrete(Module):
    """One hard-concrete gate z in [0, 1] per feature map (Supp. 7); y = x z (Eq. 2).

    log_alpha: (C,), the learnt location, drawn from U(0, 0.01) (Supp. 4).
    In training z is sampled, once per minibatch (Supp. Eq. 4); in evaluation the noise is replaced
    by its mean 1/2 (Section 3.1), so that a feature is alive iff log_alpha > -1.5986.

    vital: whether closing all gates would cut the network in two ("fatal pruning", Section 4.1).
    Then the highest log_alpha counts as at least FLOOR, in all that this class computes.
    """

    vital = False

    def __init__(self, channels: int):
        start = random.stream("init").uniform(0.0, 0.01, channels)
        self.log_alpha = Parameter(start.astype(np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """y = x z.   x, y: (..., C)."""
        return x * self.sample()

    def location(self) -> Tensor:
        """log_alpha (C,), with its highest entry raised to FLOOR if the gate is vital."""
        if not self.vital:
            return self.log_alpha
        xp, log_alpha = array_module(self.log_alpha.data), self.log_alpha.data
        is_highest = xp.arange(log_alpha.size) == log_alpha.argmax()
        return ag.maximum(
            self.log_alpha, xp.where(is_highest, FLOOR, -xp.inf).astype(log_alpha.dtype)
        )

    def sample(self) -> Tensor:
        """z: (C,), sampled in training, deterministic in evaluation."""
        if not self.training:
            return self.at_mean_noise()
        uniform = random.stream("gates").random(self.log_alpha.shape)
        epsilon = NOISE_MARGIN + (1 - 2 * NOISE_MARGIN) * uniform
        return ag.hard_concrete(self.location(), epsilon=to_device(epsilon))

    def at_mean_noise(self) -> Tensor:
        """z: (C,), with the noise replaced by its mean (Section 3.1)."""
        return ag.hard_concrete(self.location(), epsilon=0.5)

    def probability_active(self) -> Tensor:
        """P(z > 0) per gate (Supp. Eq. 5), differentiable."""
        return ag.probability_active(self.location())

    def alive(self) -> np.ndarray:
        """(C,) booleans on the host: which features the hard-pruned network keeps (Eq. 4)."""
        with no_grad():  # by z itself: a rounding away from the threshold, log_alpha may disagree
            return to_numpy(self.at_mean_noise().data) > 0
