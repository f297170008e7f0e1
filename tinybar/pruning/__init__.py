"""Budget-aware pruning: structure, costs, barrier, schedule, hard pruning and compaction."""

from ..nn.networks.residual import gates_of
from .barrier import barrier
from .compaction import compact
from .cost import COSTS, Cost, expected_volume, flops, volume
from .enforce import BudgetError, enforce_budget, use_budget
from .schedule import budget, transition
from .structure import LiveConv, Site, hard_pruned, sites

__all__ = [
    "COSTS",
    "BudgetError",
    "Cost",
    "LiveConv",
    "Site",
    "barrier",
    "budget",
    "compact",
    "enforce_budget",
    "expected_volume",
    "flops",
    "gates_of",
    "hard_pruned",
    "sites",
    "transition",
    "use_budget",
    "volume",
]
