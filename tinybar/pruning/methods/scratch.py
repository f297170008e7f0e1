"""Pruned widths trained from scratch, once: the baseline of Liu et al. 2019.

The paper's *Random* (Section 5.1) draws the channels in the same way, but prunes a trained network
in rounds (Supp. 3.2).
"""

from __future__ import annotations

import numpy as np

from ...nn.gates import HardConcrete
from ...nn.networks import compact_network
from ...nn.networks.residual import CompactNetwork, ResidualNetwork, gates_of
from ...runtime import random
from ..compaction import compact
from ..cost import Cost
from ..enforce import BudgetError
from .recipe import Run, method

OPEN = 1.0  # score of a channel that is kept


def one_channel_each(cost: Cost, model: ResidualNetwork) -> int:
    """The cost with one channel in every convolution, those that `scratch` would draw."""
    _keep(model, _ranks(model), 0)
    return cost.exact(model)


@method("scratch", "uniform widths, drawn at random, trained from scratch", one_channel_each)
def scratch(run: Run) -> CompactNetwork:
    """Scale all widths alike, draw the channels at random, train as long as BAR does in all."""
    run.teacher()
    net = run.network(HardConcrete)
    prune_at_random(net, run.cost, run.budget)
    small = compact(net)
    if not run.config.init_from_teacher:
        small = compact_network(small.layout)
    run.report(small, net)
    return run.fit("fine-tune", small, sum(run.config.epochs), slow=run.config.epochs[2])


def prune_at_random(model: ResidualNetwork, cost: Cost, budget: int) -> None:
    """Keep, of every convolution, the same share of channels, drawn at random (stream "gates").

    The share is the largest whose cost is at most `budget`; a convolution keeps at least one
    channel. Raises BudgetError if even one channel each costs more.
    """
    ranks = _ranks(model)
    most = max(rank.size for rank in ranks)
    lowest, highest = 0, most * 4  # quarters of a channel of the widest layer
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        _keep(model, ranks, middle / (4 * most))
        lowest, highest = (middle, highest) if cost.exact(model) <= budget else (lowest, middle - 1)
    _keep(model, ranks, lowest / (4 * most))
    if cost.exact(model) > budget:
        raise BudgetError(
            f"one channel in every convolution costs {cost.exact(model):,}, above {budget:,}"
        )


def _ranks(model: ResidualNetwork) -> list[np.ndarray]:
    return [random.stream("gates").permutation(gate.scores().size) for gate in gates_of(model)]


def _keep(model: ResidualNetwork, ranks: list[np.ndarray], share: float) -> None:
    for gate, rank in zip(gates_of(model), ranks, strict=True):
        kept = rank < max(1, round(share * rank.size))
        for channel in range(rank.size):
            gate.set_score(channel, OPEN if kept[channel] else gate.closed)
