"""MorphNet [Gordon et al. 2018]: widths from batch norm's scales, sparse under a price."""

from __future__ import annotations

from functools import reduce
from typing import Any

from ... import autograd as ag
from ...nn.networks.residual import CompactNetwork, ResidualNetwork
from ..cost import Cost
from ..narrowing import Group, groups, one_channel_each
from ..widths import cost_of, fitted, prices, with_widths
from .recipe import Penalty, Run, method

PRESSURE = 1.0  # default of lambda V_F
THRESHOLD = 0.03  # |gamma| above which a channel counts


@method("morphnet", "widths from sparse scales of batch norm", one_channel_each)
def morphnet(run: Run) -> CompactNetwork:
    """Count the scales that a price leaves, fit the widths to the budget, train anew (Supp. 3.1).

    A width is at least 1, where MorphNet may remove a layer.
    """
    (epochs, fast, slow), net = run.config.epochs, run.network()
    penalty = PricedScales(net, run.cost, run.config.lambda_)
    net = run.fit("sparsify", net, epochs, penalty=penalty)
    small = with_widths(net, fitted(net, run.cost, penalty.widths(), run.budget))
    run.report(small)
    return run.fit("train", small, fast + slow, slow=slow)


class PricedScales:
    """lambda sum_g r_g sum_c |gamma_gc|,   r_g: what a channel of the group g costs now.

    A channel of a residual signal has several batch norms: the largest of their |gamma| is its own.
    weight: lambda, or None for PRESSURE / V_F.   moved: what needs a learning rate of its own.
    """

    travel: float = 4.0  # how far gamma can move in the stage, from 1

    def __init__(self, model: ResidualNetwork, cost: Cost, weight: float | None = None):
        self.model: ResidualNetwork = model
        self.cost: Cost = cost
        self.groups: list[Group] = groups(model)
        self.weight: float = PRESSURE / cost.full(model) if weight is None else weight
        self.moved: list[ag.Tensor] = [bn.gamma for group in self.groups for bn in group.norms]

    def scales(self) -> list[ag.Tensor]:
        """|gamma|: (C,) of every group."""
        of_norms = [[ag.maximum(bn.gamma, -bn.gamma) for bn in g.norms] for g in self.groups]
        return [reduce(ag.maximum, scales) for scales in of_norms]

    def widths(self) -> list[int]:
        """The channels of every group that count."""
        return [int((scale.data > THRESHOLD).sum()) for scale in self.scales()]

    def __call__(self, iteration: int) -> Penalty:
        """At any iteration."""
        widths = self.widths()
        priced = zip(self.scales(), prices(self.model, self.cost, widths), strict=True)
        loss: Any = sum(ag.sum(scale) * price for scale, price in priced) * self.weight
        return Penalty(loss, cost_of(self.model, self.cost, widths), f=self.weight)
