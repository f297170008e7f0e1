"""Budget-Aware Regularization: the penalty that the optimiser sees (Sections 3.3 and 3.4)."""

from __future__ import annotations

from typing import NamedTuple

from ...autograd import Tensor
from ...nn.networks.residual import ResidualNetwork
from ..barrier import barrier
from ..cost import Cost
from ..schedule import budget

PRESSURE = 2.0  # default of lambda V_F
TOLERANCE = 0.2  # the barrier starts at (1 + TOLERANCE) V_F
CAP = 1000.0  # the largest f that the optimiser is given


def bar_loss(sparsity: Tensor, f: float) -> Tensor:
    """L_BAR = L_S(Phi) f(V, a, b)   (Eq. 6).   f is a constant: only L_S has a gradient."""
    return sparsity * f


class Penalty(NamedTuple):
    """What the regularizer asks for at one iteration.

    loss: lambda L_BAR, or None where it is zero. volume: V, the metric of the hard-pruned network;
    b: the budget now; f: the barrier that was applied, finite.
    """

    loss: Tensor | None
    volume: int
    b: float
    f: float


class BudgetAwareRegularizer:
    """lambda L_BAR(Phi, V, a, b), with b on its way from V_F to B.

    Two decisions make it finite. At the first iteration V = b = V_F, where f is infinite, so b
    starts at (1 + tolerance) V_F and keeps that share of the way that is still ahead. And V is a
    step function that jumps past b now and then: there f is `cap`.

    weight: lambda, or None for PRESSURE / V_F, which makes the pressure on a gate independent of
    the network's size.
    """

    def __init__(
        self,
        model: ResidualNetwork,
        cost: Cost,
        target: int,
        iterations: int,
        schedule: str = "sigmoid",
        weight: float | None = None,
        tolerance: float = TOLERANCE,
        cap: float = CAP,
    ):
        self.model, self.cost, self.target = model, cost, target
        self.full = cost.full(model)
        self.last = max(1, iterations - 1)
        self.schedule, self.tolerance, self.cap = schedule, tolerance, cap
        self.weight = PRESSURE / self.full if weight is None else weight

    def penalty(self, iteration: int) -> Penalty:
        """iteration: 0, 1, ..., iterations - 1."""
        t = min(1.0, iteration / self.last)
        start = self.full * (1 + self.tolerance)
        _, b = budget(t, start, self.target, self.schedule)
        a, _ = budget(t, self.full, self.target, self.schedule)
        volume = self.cost.exact(self.model)
        f = min(self.cap, barrier(volume, a, b))
        if f == 0:
            return Penalty(None, volume, b, 0.0)
        loss = bar_loss(self.cost.expected(self.model), f) * self.weight
        return Penalty(loss, volume, b, f)
