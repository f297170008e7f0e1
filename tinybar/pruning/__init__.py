"""Budget-aware pruning: barrier, budget, costs, hard pruning and compaction."""

from .barrier import barrier
from .budget import budget, parse_budget, transition
from .compaction import compact
from .cost import COSTS, Cost, expected_flops, expected_volume, flops, volume
from .hard import BudgetError, enforce_budget, freeze, gates_of, use_budget
from .liveness import LiveConv, Site, hard_pruned, sites
