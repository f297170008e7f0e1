"""A cost counted at every step of training: the convolutions listed once, all gates read at once.

The numbers are those of `Cost.exact` and `Cost.expected` (`cost.py`), where the mathematics is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor
from ..autograd import sum as total
from ..nn.gate_vector import GateVector
from ..nn.networks.residual import ResidualNetwork
from .connectivity import Alive
from .cost import Cost
from .structure import Site, gate_alive, pruned, sites


class Counter:
    """The cost of one gated network, whose structure stays as it is."""

    def __init__(self, model: ResidualNetwork, cost: Cost):
        self.model: ResidualNetwork = model
        self.cost: Cost = cost
        self.sites: list[Site] = sites(model)
        self.vector: GateVector | None = model.gate_vector()
        self.prices: Tensor | None = self._prices()

    def exact(self) -> int:
        """The cost of the hard-pruned network now. The one number of a step that a GPU sends."""
        alive: Alive = gate_alive
        if self.vector is not None:
            gates = self.vector.alive()
            alive = lambda site: gates[site.gate]  # noqa: E731
        return sum(layer.cost(self.cost.of) for layer in pruned(self.sites, alive))

    def expected(self) -> Tensor:
        """L_S now: sum_i price_i P(z_i > 0) over all gates, where the cost has such prices."""
        if self.vector is None or self.prices is None:
            return self.cost.expected(self.model)
        return total(self.vector.whole.probability_open() * self.prices)

    def _prices(self) -> Tensor | None:
        """(C,) what each open channel adds to the cost; None where that depends on others."""
        if self.vector is None or None in (site.gate for site in self.sites):
            return None
        prices: dict[Any, Any] = {site.gate: price_of(self.cost, site) for site in self.sites}
        return None if None in prices.values() else self.vector.by_channel(prices)


def price_of(cost: Cost, site: Site) -> float | None:
    """Of a channel that the site writes; None unless the cost is that times their number."""

    def of(reads: float, writes: float) -> float:
        return float(cost.expected_of(site, *(Tensor(np.float64(n)) for n in (reads, writes))))

    c_in, c_out, price = site.conv.c_in, site.conv.c_out, of(1, 1)
    tried = ((r, w) for r in (0, 1, c_in / 3, c_in) for w in (0, 1, c_out / 3, c_out))
    return price if all(np.isclose(of(r, w), price * w, rtol=1e-12) for r, w in tried) else None
