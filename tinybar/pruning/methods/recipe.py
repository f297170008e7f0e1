"""What a method is: a recipe, a function of a run that returns the pruned network.

A recipe reads like its paragraph in the paper. What a run needs besides, it gets from `run`: stages
that can be interrupted, counts, accuracies, files. When a run is resumed, the recipe is called
anew: a stage that had ended returns what it had trained, one that was interrupted continues, bit
for bit. What stands between two stages is computed again; it must be cheap and deterministic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from ...autograd import Tensor
from ...nn.gates import GateFactory
from ...nn.module import Module
from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ..cost import Cost


class Penalty(NamedTuple):
    """What is added to the data loss at one iteration, and the numbers behind it.

    loss: lambda L_S or lambda L_BAR, or None where it is zero. cost: V, the metric of the
    hard-pruned network. b: the budget now. f: how hard it presses, finite: the barrier that was
    applied, or the multiplier. A penalty without a budget has no V and no b.
    """

    loss: Tensor | None
    cost: int | None = None
    b: float | None = None
    f: float = 1.0


class PenaltyInHalves(ABC):
    """A penalty that is a function of the iteration, 0, 1, ..., in two halves.

    The numbers are made on the host; the loss, from them, on the device, where it can be recorded
    (`train/captured.py`).
    """

    def __call__(self, iteration: int) -> Penalty:
        """The penalty: both halves. Where f is 0 there is no loss."""
        now = self.numbers(iteration)
        return now._replace(loss=self.loss(now.f, now.b)) if now.f else now

    @abstractmethod
    def numbers(self, iteration: int) -> Penalty:
        """V, b and f now; without the loss. To be asked once for each iteration."""

    @abstractmethod
    def loss(self, f: float | Tensor, b: float | Tensor | None) -> Tensor:
        """The loss for these numbers."""


Net = TypeVar("Net", bound=Module)


class Run(Protocol):
    """What a recipe may ask for.

    config: the options. cost: the metric of the budget. budget: B, in its units.
    """

    config: Any
    cost: Cost
    budget: int

    def teacher(self) -> ResidualNetwork:
        """The trained full network, in evaluation mode."""

    def network(self, gate: GateFactory | None = None) -> ResidualNetwork:
        """A full network, with random weights or, under --init-from-teacher, the teacher's."""

    def iterations(self, epochs: int) -> int:
        """The number of minibatches in so many epochs."""

    def fit(
        self,
        stage: str,
        net: Net,
        epochs: int,
        slow: int = 0,
        penalty: Callable[[int], Penalty] | None = None,
        distill: bool = True,
    ) -> Net:
        """Train `net` on the data loss L_D, and return it.

        slow: how many of the epochs, the last ones, have a tenth of the learning rate.
        penalty: of an iteration, 0, 1, ... of the stage; added to L_D. It may have
            target: B; the network is held to it: where the cost hardly came nearer, that is told;
            memory: numbers, or None, that it keeps from one iteration to the next;
            moved, travel: parameters to be moved so far, in place of the gates.
        distill: False for a method without distillation, whatever --distill says.
        """

    def report(
        self, small: CompactNetwork, gated: ResidualNetwork | None = None, **facts: Any
    ) -> None:
        """Record what hard pruning made: sizes, accuracy, and further facts for result.json.

        gated: the network that was compacted; None where `small` is a full network with other
        widths, whose connectivity is regular.
        """

    def warn(self, *lines: str) -> None:
        """Say each line now, and in the result."""


Recipe = Callable[[Run], CompactNetwork]


class Method(NamedTuple):
    """A recipe, and what it does in a few words.

    smallest: the least cost of a gated network that the recipe can reach.
    epochs: those that it trains after the teacher, by the options and the factor V_F / B; for the
    time left that is shown.
    """

    title: str
    recipe: Recipe
    smallest: Callable[[Cost, ResidualNetwork], int]
    epochs: Callable[[Any, float], int]


METHODS: dict[str, Method] = {}


def as_long_as_bar(config: Any, factor: float) -> int:
    """The epochs of the three stages."""
    return sum(config.epochs)


def method(
    name: str,
    title: str,
    smallest: Callable[[Cost, ResidualNetwork], int] = Cost.smallest,
    epochs: Callable[[Any, float], int] = as_long_as_bar,
) -> Callable[[Recipe], Recipe]:
    """Register the decorated recipe as the method called `name`.

    title: for the help. smallest: the least cost that it can reach; any pruning can, by default.
    epochs: as in `Method`.
    """

    def register(recipe: Recipe) -> Recipe:
        if name in METHODS:
            raise ValueError(f"a method called {name!r} exists already")
        METHODS[name] = Method(title, recipe, smallest, epochs)
        return recipe

    return register
