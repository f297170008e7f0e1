"""Hard pruning to a budget (Section 3.2): kept exactly, and used up."""

from __future__ import annotations

import numpy as np

from ..nn.gates import Gate
from ..nn.networks.residual import ResidualNetwork, gates_of
from .cost import Cost
from .structure import hard_pruned


class BudgetError(RuntimeError):
    """No pruning of this network keeps to the budget."""


def enforce_budget(model: ResidualNetwork, cost: Cost, budget: float) -> int:
    """Close the live channels with the lowest scores, one by one, until the cost is within budget.

    Returns how many were closed. A gate with `keep_one` keeps its best channel.
    Raises BudgetError if nothing is left to close; the model is then as small as it gets.
    """
    closed = 0
    while cost.exact(model) > budget:
        lowest = _lowest_live_channel(model)
        if lowest is None:
            raise BudgetError(
                f"the network cannot be pruned to {budget:,.0f}: "
                f"its smallest cost is {cost.smallest(model):,}"
            )
        gate, channel = lowest
        gate.set_score(channel, gate.closed)
        closed += 1
    return closed


def _lowest_live_channel(model: ResidualNetwork) -> tuple[Gate, int] | None:
    """The live channel with the lowest score of those that may be closed."""
    candidates = []
    for layer in hard_pruned(model):
        gate = layer.site.gate
        if gate is None or layer.writes.sum() <= int(gate.keep_one):
            continue
        scores = np.where(layer.writes, gate.scores(), np.inf)
        channel = int(scores.argmin())
        candidates.append((scores[channel], gate, channel))
    if not candidates:
        return None
    _, gate, channel = min(candidates, key=lambda candidate: candidate[0])
    return gate, channel


def use_budget(model: ResidualNetwork, cost: Cost, budget: float) -> int:
    """Reopen the closed channels with the highest scores, one by one, as long as they fit.

    Training overshoots at its end: when the last channel of a delta closes, the whole block is
    dead, and the cost falls by much more than one channel's share. Returns by how many live
    channels the hard-pruned network grew. A channel that would be open but dead is closed again.
    The function changes, although z is small: a batch norm that reads the signal undoes its scale
    (but under --live soft).
    """
    for gate in gates_of(model):  # write down what `keep_one` raises: else, where a better channel
        best = int(gate.scores().argmax())  # reopens, that one is raised and this one closes
        gate.set_score(best, gate.scores()[best])
    before, spent = _live_channels(model), cost.exact(model)
    grew = True
    while grew:  # a block that is alive again gives channels a use that had none before
        grew = False
        for score, gate, channel in sorted(_closed_channels(model), key=lambda c: -c[0]):
            gate.set_score(channel, gate.reopened)
            now = cost.exact(model)
            if spent < now <= budget:
                spent, grew = now, True
            else:
                gate.set_score(channel, score)
    return _live_channels(model) - before


def _closed_channels(model: ResidualNetwork) -> list[tuple[float, Gate, int]]:
    """(score, gate, channel) of every channel whose gate is closed."""
    return [
        (float(gate.scores()[channel]), gate, int(channel))
        for gate in gates_of(model)
        for channel in np.flatnonzero(~gate.alive())
    ]


def _live_channels(model: ResidualNetwork) -> int:
    """Number of channels that the hard-pruned network computes."""
    return sum(int(layer.writes.sum()) for layer in hard_pruned(model))
