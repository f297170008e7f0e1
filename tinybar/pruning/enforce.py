"""Hard pruning: the budget is kept exactly (Section 3.2)."""

from __future__ import annotations

import numpy as np

from ..autograd.gates import THRESHOLD
from ..nn.gates import HardConcrete
from ..nn.networks.residual import ResidualNetwork
from ..runtime.arrays import to_numpy
from .cost import Cost
from .structure import hard_pruned

CLOSED = THRESHOLD - 1.0  # log alpha of a feature that was dropped
REOPENED = THRESHOLD + 0.1  # and of one that was taken back: z = 0.015, the function hardly changes


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
        log_alpha = np.where(layer.writes, to_numpy(gate.log_alpha.data), np.inf)
        feature = int(log_alpha.argmin())
        candidates.append((log_alpha[feature], gate, feature))
    if not candidates:
        return None
    _, gate, feature = min(candidates, key=lambda candidate: candidate[0])
    return gate, feature


def use_budget(model: ResidualNetwork, cost: Cost, target: float) -> int:
    """Reopen the closed features with the highest log alpha, one by one, as long as they fit.

    The last iterations overshoot: when the last feature of a delta closes, a whole block falls,
    and much more than one feature's share of the budget is left. Returns by how many features the
    hard-pruned network grew. What opens without being computed, in a block that stays dead, does
    not count and is closed again.
    """
    before, spent = _computed(model), cost.exact(model)
    grew = True
    while grew:  # a block that came back makes room for features that were no use before
        grew = False
        for _, gate, feature in sorted(_closed_features(model), key=lambda c: -c[0]):
            log_alpha = gate.log_alpha.data
            kept = float(log_alpha[feature])
            log_alpha[feature] = REOPENED
            now = cost.exact(model)
            if spent < now <= target:
                spent, grew = now, True
            else:
                log_alpha[feature] = kept
    return _computed(model) - before


def _closed_features(model: ResidualNetwork) -> list[tuple[float, HardConcrete, int]]:
    """(log alpha, gate, index) of every feature whose gate is closed."""
    return [
        (float(gate.log_alpha.data[feature]), gate, int(feature))
        for gate in gates_of(model)
        for feature in np.flatnonzero(~gate.alive())
    ]


def _computed(model: ResidualNetwork) -> int:
    """Number of features that the hard-pruned network computes."""
    return sum(int(layer.writes.sum()) for layer in hard_pruned(model))


def freeze(model: ResidualNetwork) -> None:
    """Phi no longer learns (Supp. 3.1)."""
    for gate in gates_of(model):
        gate.log_alpha.requires_grad = False
        gate.log_alpha.grad = None
