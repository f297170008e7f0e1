"""Pruned widths trained from scratch, once: the baseline of Liu et al. 2019.

"Rethinking the Value of Network Pruning": is what pruning finds better than a small network that
was never large? The paper does not ask.
"""

from __future__ import annotations

from ...nn.networks.residual import CompactNetwork
from ..narrowing import one_channel_each, uniform
from .recipe import Run, method


@method("scratch", "uniform widths, trained from scratch", one_channel_each)
def scratch(run: Run) -> CompactNetwork:
    """Scale all widths alike, and train random weights for as long as BAR trains in all.

    --init-from-teacher has no say: to begin with channels of the teacher is the method `random`.
    """
    small = uniform(run.teacher(), run.cost, run.budget)
    run.report(small)
    return run.fit("fine-tune", small, sum(run.config.epochs), slow=run.config.epochs[2])
