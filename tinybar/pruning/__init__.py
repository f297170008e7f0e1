"""Budget-aware pruning: barrier, budget, costs, hard pruning and compaction."""

from .barrier import barrier
from .compaction import compact
from .cost import COSTS, Cost, expected_flops, expected_volume, flops, volume
from .enforce import BudgetError, enforce_budget, freeze, gates_of, use_budget
from .schedule import budget, transition
from .structure import LiveConv, Site, hard_pruned, sites
