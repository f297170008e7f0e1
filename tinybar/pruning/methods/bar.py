"""Budget-aware regularization: the paper's method (Sections 3.3 and 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from ...autograd import Tensor
from ...nn.gates import HardConcrete
from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ..barrier import barrier
from ..cost import Cost
from ..counting import Counter
from ..schedule import budget
from .ending import finish
from .recipe import Penalty, PenaltyInHalves, Run, method

PRESSURE = 2.0  # default of lambda V_F
TOLERANCE = 0.2  # the barrier starts at (1 + TOLERANCE) V_F
CAP = 1000.0  # the largest f that the optimizer sees


@method("bar", "budget-aware regularization")
def bar(run: Run) -> CompactNetwork:
    """Train and prune together under a falling budget, prune hard, fine-tune (Supp. 3.1)."""
    config, cost = run.config, run.cost
    barrier_epochs = config.epochs[0]
    run.teacher()
    net = run.network(HardConcrete)
    iterations = run.iterations(barrier_epochs)
    penalty = BudgetAwarePenalty(net, cost, run.budget, iterations, config.schedule, config.lambda_)
    return finish(run, run.fit("prune", net, barrier_epochs, penalty=penalty))


def bar_loss(sparsity: Tensor, f: float | Tensor) -> Tensor:
    """L_BAR = L_S(Phi) f(V, a, b)   (Eq. 6).   f is a constant: only L_S has a gradient."""
    return sparsity * f


@dataclass
class BudgetAwarePenalty(PenaltyInHalves):
    """lambda L_BAR(Phi, V, a, b), while b falls from V_F to B (Eq. 7).

    Two decisions make it finite. At the first iteration V = b = V_F, where f is infinite, so b
    starts at (1 + tolerance) V_F and keeps that share of the way that is still ahead. And V is a
    step function that passes b now and then: there f is `cap`.

    target: B. weight: lambda, or None for PRESSURE / V_F.
    """

    model: ResidualNetwork
    cost: Cost
    target: int
    iterations: int
    schedule: str = "sigmoid"
    weight: float | None = None
    tolerance: float = TOLERANCE
    cap: float = CAP

    def __post_init__(self) -> None:
        self.full, self.counter = self.cost.full(self.model), Counter(self.model, self.cost)
        if self.weight is None:
            self.weight = PRESSURE / self.full

    def loss(self, f: float | Tensor, b: float | Tensor | None) -> Tensor:
        """lambda L_BAR."""
        return bar_loss(self.counter.expected(), f) * self.weight

    def numbers(self, iteration: int) -> Penalty:
        """V, b and f.   iteration: 0, 1, ..., iterations - 1."""
        t = min(1.0, iteration / max(1, self.iterations - 1))
        start = self.full * (1 + self.tolerance)
        _, b = budget(t, start, self.target, self.schedule)
        a, _ = budget(t, self.full, self.target, self.schedule)
        volume = self.counter.exact()
        return Penalty(None, volume, b, min(self.cap, barrier(volume, a, b)))
