"""The comparison of Section 5.1: feature maps removed at random, all widths scaled alike."""

from __future__ import annotations

import numpy as np

from ...nn.networks.residual import ResidualNetwork
from ...runtime import random
from ...runtime.arrays import to_device
from ..cost import Cost
from ..enforce import CLOSED, BudgetError, gates_of

OPEN = 1.0  # log alpha of a feature that is kept; any value above the threshold would do


def prune_at_random(model: ResidualNetwork, cost: Cost, target: int) -> None:
    """Keep, of every convolution, the same share of features, drawn at random (stream "gates").

    The share is the largest whose cost is at most `target`; a convolution keeps at least one
    feature. Raises BudgetError if even one feature each costs more.
    """
    ranks = [random.stream("gates").permutation(gate.log_alpha.size) for gate in gates_of(model)]
    most = max(rank.size for rank in ranks)
    lowest, highest = 0, most * 4  # quarters of a feature of the widest layer
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        _keep(model, ranks, middle / (4 * most))
        lowest, highest = (middle, highest) if cost.exact(model) <= target else (lowest, middle - 1)
    _keep(model, ranks, lowest / (4 * most))
    if cost.exact(model) > target:
        raise BudgetError(
            f"one feature in every convolution costs {cost.exact(model):,}, above {target:,}"
        )


def _keep(model: ResidualNetwork, ranks: list[np.ndarray], share: float) -> None:
    for gate, rank in zip(gates_of(model), ranks, strict=True):
        kept = rank < max(1, round(share * rank.size))
        values = np.where(kept, OPEN, CLOSED).astype(np.float32)
        gate.log_alpha.data[...] = to_device(values)
