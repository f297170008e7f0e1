"""The search for lambda, for methods without a budget: trial and error, as the paper has it.

V falls as lambda rises, with noise. Every probe is a whole pruning stage, from the same weights and
with the same random draws, so that lambda alone makes the difference; it is logged, and its
operations are counted in the cost of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...autograd import Tensor
from ...autograd import sum as total
from ...nn.gates import GateFactory
from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ...runtime import random
from ..compaction import compact
from ..enforce import enforce_budget
from ..structure import Site, sites
from .recipe import Penalty, PenaltyInHalves, Run

TOLERANCE = 1.1  # a cost in [B / TOLERANCE, B] is what was asked for
PROBES = 12  # at most
TYPICAL = 5  # probes, for the time that is shown
STEPS = 4  # at most, while all costs are on one side of the window
SHORTEST, LONGEST = 2.0, 1000.0  # such a step, as a factor of lambda
MARGIN = 0.15  # of a bracket, in which no probe is set

Price = Callable[[Site], float]  # of a channel that a convolution writes


def probed_epochs(config: Any, factor: float) -> int:
    """The epochs of a method that searches lambda, estimated."""
    return TYPICAL * config.epochs[0] + sum(config.epochs[1:])


def prune_by_search(
    run: Run, gate: GateFactory, price: Price, start: float
) -> tuple[ResidualNetwork, dict[str, Any]]:
    """A network trained on L_D + lambda L_S (Eq. 3), hard-pruned to within the budget.

    start: the first lambda times the price of all channels, for a budget of V_F; it rises with
    V_F / B. --lambda sets another. L_D has no distillation. Returns the network, and what to
    report of it. Where no lambda leads to within TOLERANCE of the budget, the nearest network is
    taken, and closed down to the budget if it is above; a warning says so.
    """
    draws = random.streams_state()
    probes: list[Any] = []

    def train(weight: float) -> ResidualNetwork:
        random.restore_streams(draws)
        net, stage = run.network(gate), f"lambda {weight:.4g}"
        penalty: Any = Priced(sparsity(net, price), weight)
        return run.fit(stage, net, run.config.epochs[0], penalty=penalty, distill=False)

    weight: Any = rounded(run.config.lambda_ or first_lambda(run, price, start))
    while weight is not None:
        probes.append([weight, run.cost.exact(train(weight))])
        weight = next_lambda(probes, run.budget)
    weight, cost = nearest(probes, run.budget)
    net = train(weight)  # which hands back what was trained
    dropped = enforce_budget(net, run.cost, run.budget)
    if not is_found(cost, run.budget):
        run.warn(
            f"no lambda of {len(probes)} that were tried led to within 10 % of the budget "
            f"{run.budget:,}; the nearest, {weight:g}, led to {cost:,}"
            + (f", and hard pruning closed {dropped} more channels" if dropped else "")
        )
    return net, {"probes": probes, "dropped": dropped}


def search_and_finish(run: Run, gate: GateFactory, price: Price, start: float) -> CompactNetwork:
    """Search lambda, compact what was found, and fine-tune it without distillation (Supp. 3.1)."""
    _, fast, slow = run.config.epochs
    net, facts = prune_by_search(run, gate, price, start)
    small = compact(net)
    run.report(small, net, **facts)
    return run.fit("fine-tune", small, fast + slow, slow=slow, distill=False)


@dataclass
class Priced(PenaltyInHalves):
    """lambda L_S, at any iteration."""

    sparsity: Callable[[], Tensor]
    weight: float

    def loss(self, *_: Any) -> Tensor:
        """lambda L_S: it has neither f nor b."""
        return self.sparsity() * self.weight

    def numbers(self, iteration: int) -> Penalty:
        """None."""
        return Penalty(None)


def sparsity(net: ResidualNetwork, price: Price) -> Callable[[], Tensor]:
    """L_S = sum_l price_l L(Phi_l), a scalar: every gate's own prior, at the price of its site."""
    gates: Any = net.gate_vector()
    prices: dict[Any, float] = {site.gate: price(site) for site in sites(net)}
    of_channels = gates.by_channel(prices)
    return lambda: total(gates.whole.priors() * of_channels)


def first_lambda(run: Run, price: Price, start: float) -> float:
    """start (V_F / B) / sum_l price_l C_l, C_l the width of layer l."""
    net = run.teacher()
    factor = run.cost.full(net) / run.budget
    return start * factor / sum(price(site) * site.conv.c_out for site in sites(net))


def is_found(cost: float, budget: float) -> bool:
    """Whether a cost is within the budget, and within TOLERANCE of it."""
    return budget / TOLERANCE <= cost <= budget


def nearest(probes: list[Any], budget: float) -> list[Any]:
    """The first [lambda, V] that is found, else that whose V has the least factor to the budget."""
    return min(probes, key=lambda p: 0 if is_found(p[1], budget) else abs(math.log(p[1] / budget)))


def rounded(weight: float) -> float:
    """To four digits, as the name of a stage shows it."""
    return float(f"{weight:.4g}")


def next_lambda(probes: list[Any], budget: float) -> float | None:
    """The lambda to try after these [lambda, V], in the order of trying; None to stop.

    V is roughly as 1 / lambda, so the first step is the factor by which V is off, or SHORTEST.
    While all costs are on one side of the window, the exponent of that rule doubles at each step.
    Then ln V is interpolated in ln lambda (regula falsi) between two neighbours, the left one above
    the window and the right one below it; of several such pairs, which noise makes, that of the
    nearest costs. A probe keeps away from both ends, so that a cliff is bisected.
    """
    if is_found(probes[-1][1], budget) or len(probes) >= PROBES:
        return None
    aim = math.log(budget) - math.log(TOLERANCE) / 2
    points = sorted((math.log(weight), math.log(cost) - aim) for weight, cost in probes)
    pairs = [(p, q) for p, q in pairwise(points) if p[1] > 0 > q[1]]
    if pairs:
        (x1, y1), (x2, y2) = min(pairs, key=lambda pair: pair[0][1] - pair[1][1])
        tried = x1 + min(max(y1 / (y1 - y2), MARGIN), 1 - MARGIN) * (x2 - x1)
    elif len(probes) <= STEPS:
        x, y = points[-1] if points[-1][1] > 0 else points[0]
        step = min(max(abs(y), math.log(SHORTEST)) * 2 ** (len(probes) - 1), math.log(LONGEST))
        tried = x + math.copysign(step, y)
    else:
        return None
    tried = rounded(math.exp(tried))
    return None if tried in {weight for weight, _ in probes} else tried
