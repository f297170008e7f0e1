"""Hard pruning: the budget is kept exactly (Section 3.2)."""

from __future__ import annotations

import numpy as np

from .. import backend
from ..autograd.gates import THRESHOLD
from ..nn.gates import HardConcrete
from ..nn.resnet import ResidualNetwork
from .cost import Cost
from .liveness import hard_pruned

CLOSED = THRESHOLD - 1.0  # log alpha of a feature that was dropped


class BudgetError(RuntimeError):
    """No pruning of this network keeps to the budget."""


def gates_of(model: ResidualNetwork) -> list[HardConcrete]:
    """All gates of the model, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, HardConcrete)]


def enforce_budget(model: ResidualNetwork, cost: Cost, target: float) -> int:
    """Close the features with the lowest log alpha, one by one, until the cost is at most `target`.

    Returns how many were closed. A vital gate keeps its best feature.
    Raises BudgetError if nothing is left to close; the model is then as small as it gets.
    """
    closed = 0
    while cost.exact(model) > target:
        lowest = _lowest_live_feature(model)
        if lowest is None:
            raise BudgetError(
                f"the network cannot be pruned to {target:,.0f}: "
                f"its smallest cost is {cost.smallest(model):,}"
            )
        gate, feature = lowest
        gate.log_alpha.data[feature] = CLOSED
        closed += 1
    return closed


def _lowest_live_feature(model: ResidualNetwork) -> tuple[HardConcrete, int] | None:
    """The live feature of lowest log alpha that is really computed and may be closed."""
    candidates = []
    for layer in hard_pruned(model):
        gate = layer.site.gate
        if gate is None or layer.writes.sum() <= int(gate.vital):
            continue
        log_alpha = np.where(layer.writes, backend.to_numpy(gate.log_alpha.data), np.inf)
        feature = int(log_alpha.argmin())
        candidates.append((log_alpha[feature], gate, feature))
    if not candidates:
        return None
    _, gate, feature = min(candidates, key=lambda candidate: candidate[0])
    return gate, feature


def freeze(model: ResidualNetwork) -> None:
    """Phi no longer learns (Supp. 3.1)."""
    for gate in gates_of(model):
        gate.log_alpha.requires_grad = False
        gate.log_alpha.grad = None
