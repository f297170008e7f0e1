"""What a network costs: exactly, once hard-pruned, and in expectation, differentiable in the gates.

A cost is what one convolution costs, summed over all. To add one, write it as a function:

    @cost("traffic")
    def traffic(site, reads, writes):
        return (reads + writes) * site.area
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add, mul
from typing import Any

from ..autograd import Tensor
from ..autograd import sum as total
from ..nn.networks.residual import ResidualNetwork
from ..runtime.arrays import array_module
from .connectivity import Alive, connected
from .structure import Site, all_open, fewest, gate_alive, sites


@dataclass(frozen=True)
class Cost:
    """A metric that a budget can be set in.

    of: (site, reads, writes) -> the cost of a convolution that reads and writes so many channels.
    expected_of: the same from the expectations of these numbers, scalar Tensors: a differentiable
    approximation of the expected cost, exact where the cost is linear in each of them.
    """

    of: Callable[[Site, int, int], int]
    expected_of: Callable[[Site, Tensor, Tensor], Tensor]

    def exact(
        self, model: ResidualNetwork, connectivity: str = "mixed", alive: Alive = gate_alive
    ) -> int:
        """The cost of the hard-pruned network (V, Eq. 4); arguments as `connected`."""
        return sum(layer.cost(self.of) for layer in connected(model, connectivity, alive))

    def expected(self, model: ResidualNetwork) -> Tensor:
        """L_S (Section 3.3), a scalar Tensor in the dtype of the weights.

        It also counts open channels of dead paths, which `exact` leaves out: it bounds the
        expectation of the hard-pruned cost from above.
        """
        terms = (self.expected_of(s, expected_reads(s), expected_writes(s)) for s in sites(model))
        return reduce(add, terms)

    def full(self, model: ResidualNetwork) -> int:
        """V_F: the cost with every gate open."""
        return self.exact(model, alive=all_open)

    def smallest(self, model: ResidualNetwork) -> int:
        """The least cost that pruning can reach."""
        return self.exact(model, alive=fewest)


COSTS: dict[str, Cost] = {}


def cost(name: str, expected: Callable[..., Tensor] | None = None) -> Any:
    """Register the decorated function of (site, reads, writes) as the cost called `name`.

    expected: its differentiable expectation, see `Cost`; by default the function itself.
    """

    def register(of: Callable[..., Any]) -> Callable[..., Any]:
        if name in COSTS:
            raise ValueError(f"a cost called {name!r} exists already")
        COSTS[name] = Cost(of, expected or of)
        return of

    return register


@cost("volume")
def neurons(site: Site, reads: Any, writes: Any) -> Any:
    """The activation volume of a convolution's output (Eq. 4)."""
    return writes * site.area


@cost("flops")
def operations(site: Site, reads: Any, writes: Any) -> Any:
    """The operations of a convolution for one image, two per multiply-add."""
    return weights(site, reads, writes) * (2 * site.area)


@cost("params")
def weights(site: Site, reads: Any, writes: Any) -> Any:
    """The entries of a convolution's weight."""
    return reads * writes * math.prod(site.conv.kernel)


def volume(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """V = sum_l sum_i Ind(z_li > 0) A_l: neurons that the hard-pruned network computes (Eq. 4)."""
    return COSTS["volume"].exact(model, connectivity)


def flops(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """Operations of the hard-pruned network's convolutions per image, two per multiply-add."""
    return COSTS["flops"].exact(model, connectivity)


def expected_volume(model: ResidualNetwork) -> Tensor:
    """L_S = sum_l A_l sum_i P(z_li > 0)   (Section 3.3)."""
    return COSTS["volume"].expected(model)


def expected_writes(site: Site) -> Tensor:
    """E[number of open channels that the site writes]: sum_i P(z_i > 0)."""
    if site.gate is None:
        return _constant(site.conv.c_out, site)
    return total(site.gate.probability_open())


def expected_reads(site: Site) -> Tensor:
    """E[number of open channels that the site reads].

    A convolution inside a block reads what the one before it writes. One that reads a residual
    signal reads channel i if any of the signal's gates is open: 1 - prod_k (1 - P(z_ki > 0)).
    """
    gates: list[Any] = [source.gate for source in site.reads]
    if not gates or None in gates:
        return _constant(site.conv.c_in, site)
    closed = reduce(mul, (1 - gate.probability_open() for gate in gates))
    return total(1 - closed)


def _constant(value: float, site: Site) -> Tensor:
    xp = array_module(site.conv.weight.data)
    return Tensor(xp.asarray(value, site.conv.weight.dtype))
