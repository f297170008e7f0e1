"""How a method with gates and a budget ends."""

from __future__ import annotations

from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ..compaction import compact
from ..enforce import enforce_budget, use_budget
from .recipe import Run


def finish(run: Run, net: ResidualNetwork) -> CompactNetwork:
    """Hold the network to the budget, use what is left of it, compact and fine-tune."""
    _, fast, slow = run.config.epochs
    dropped = enforce_budget(net, run.cost, run.budget)
    reopened = use_budget(net, run.cost, run.budget)
    small = compact(net)
    run.report(small, net, dropped=dropped, reopened=reopened)
    return run.fit("fine-tune", small, fast + slow, slow=slow)
