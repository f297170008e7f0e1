"""A Lagrange multiplier in the barrier's place [Gallego-Posada 2022, Sohrabi 2024, et al.]."""

from __future__ import annotations

from dataclasses import dataclass

from ...autograd import Tensor
from ...nn.gates import HardConcrete
from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ..cost import Cost
from ..counting import Counter
from ..multiplier import Gains, Multiplier
from ..schedule import budget
from .ending import finish
from .recipe import Penalty, PenaltyInHalves, Run, method

INTEGRAL = 1e5  # kappa_I times the iterations: lambda follows a schedule of any length
PROPORTIONAL, NU = 5000.0, 0.9


@method("lagrangian", "a Lagrange multiplier in the barrier's place")
def lagrangian(run: Run) -> CompactNetwork:
    """As `bar`, but for the penalty. lambda is where the multiplier starts, 0 by default."""
    config, epochs = run.config, run.config.epochs[0]
    run.teacher()
    net = run.network(HardConcrete)
    iterations, start = run.iterations(epochs), config.lambda_ or 0.0
    penalty = Lagrangian(net, run.cost, run.budget, iterations, config.schedule, start)
    return finish(run, run.fit("prune", net, epochs, penalty=penalty))


@dataclass
class Lagrangian(PenaltyInHalves):
    """lambda g,   g = (L_S - b) / V_F,   while b falls from V_F to B (Eq. 7).

    First lambda answers to the error of what counts, e = (V - b) / V_F; then weights and gates
    descend on what is differentiable.   target: B.   start: lambda at first.
    memory: the multiplier now; a run that goes on puts back what it was.
    """

    model: ResidualNetwork
    cost: Cost
    target: int
    iterations: int
    schedule: str = "sigmoid"
    start: float = 0.0

    def __post_init__(self) -> None:
        self.full: int = self.cost.full(self.model)
        self.memory: Multiplier = Multiplier(self.start)
        self.counter: Counter = Counter(self.model, self.cost)
        self.gains: Gains = Gains(INTEGRAL / self.iterations, PROPORTIONAL, NU)

    def loss(self, multiplier: float | Tensor, b: float | Tensor | None) -> Tensor:
        """lambda g."""
        return (self.counter.expected() - b) * (1 / self.full) * multiplier

    def numbers(self, iteration: int) -> Penalty:
        """V, b and the multiplier, which answers to them, once.   iteration: as `bar`'s."""
        t = min(1.0, iteration / max(1, self.iterations - 1))
        _, b = budget(t, self.full, self.target, self.schedule)
        volume = self.counter.exact()
        self.memory = Multiplier(*self.memory).after((volume - b) / self.full, self.gains)
        return Penalty(None, volume, b, self.memory.value)
