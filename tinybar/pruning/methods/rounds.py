"""Halving rounds: the scheme of Random, WM, VQ and ID (Supp. 3.2)."""

from __future__ import annotations

import math
from typing import Any

from ...nn.networks.residual import CompactNetwork
from ..narrowing import Chooser, narrow, uniform
from .recipe import Run

NEAR = 0.05  # a last round for less than this part of a halving is not worth its epochs


def count(factor: float) -> int:
    """Rounds to reach the factor V_F / B, each of which halves at most; at least one."""
    return max(1, math.ceil(math.log2(factor) - NEAR))


def epochs(config: Any, factor: float) -> int:
    """Those of all rounds: 40 + 10 each (Supp. 3.2), the last two stages of --epochs."""
    return count(factor) * sum(config.epochs[1:])


def halvings(full: int, budget: int) -> list[float]:
    """The budgets of the rounds: V_F / 2, V_F / 4, ..., and B itself as the last one."""
    rounds = count(full / budget)
    return [full / 2**k for k in range(1, rounds)] + [budget]


def in_rounds(run: Run, choose: Chooser) -> CompactNetwork:
    """Narrow the trained network to half its cost and train it again, until it is within budget.

    choose: how the channels of a narrower network are made of those there are.
    """
    full = run.teacher()
    net: Any = full
    budgets = halvings(run.cost.full(full), run.budget)
    _, fast, slow = run.config.epochs
    for k, budget in enumerate(budgets, 1):
        net = narrow(net, uniform(full, run.cost, budget), choose)
        if k == len(budgets):
            run.report(net)
        net = run.fit(f"round {k}", net, fast + slow, slow=slow)
    return net
