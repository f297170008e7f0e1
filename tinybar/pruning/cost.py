"""What a network costs: exactly, once hard-pruned, and in expectation, differentiable in the gates.

A cost is what one convolution costs, summed over all. To add one, write that as a function and list
it in `COSTS`, and `--metric` knows it:

    def traffic(site, reads, writes):
        return (reads + writes) * site.area

Given the numbers of live features it is the exact cost (`liveness.py` has those of the paper).
Given their expectations, which are Tensors, it is the differentiable one, L_S; for that it must be
linear in each of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, mul
from typing import NamedTuple

import numpy as np

from ..autograd import Tensor
from ..autograd import sum as total
from ..nn.networks.residual import ResidualNetwork
from ..runtime.arrays import array_module
from .structure import Site, hard_pruned, neurons, only_vital, operations, sites, weights


class Cost(NamedTuple):
    """A metric that a budget can be set in. of: a function of (site, reads, writes)."""

    of: Callable

    def exact(self, model: ResidualNetwork, connectivity: str = "mixed") -> int:
        """Of the hard-pruned network."""
        return sum(layer.cost(self.of) for layer in hard_pruned(model, connectivity))

    def expected(self, model: ResidualNetwork) -> Tensor:
        """L_S (Section 3.3): the expectation, a scalar Tensor in the dtype of the weights."""
        terms = (self.of(s, expected_reads(s), expected_writes(s)) for s in sites(model))
        return reduce(add, terms)

    def smallest(self, model: ResidualNetwork) -> int:
        """The cost that no pruning of this network goes below: one feature per vital gate."""
        return sum(layer.cost(self.of) for layer in hard_pruned(model, alive=only_vital))

    def full(self, model: ResidualNetwork) -> int:
        """The cost with every gate open."""
        layers = hard_pruned(model, alive=lambda site: np.ones(site.conv.c_out, bool))
        return sum(layer.cost(self.of) for layer in layers)


COSTS = {"volume": Cost(neurons), "flops": Cost(operations), "params": Cost(weights)}


def volume(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """V = sum_l sum_i Ind(z_li > 0) A_l: neurons that the hard-pruned network computes (Eq. 4)."""
    return COSTS["volume"].exact(model, connectivity)


def flops(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """Operations of the hard-pruned network's convolutions per image, two per multiply-add."""
    return COSTS["flops"].exact(model, connectivity)


def expected_volume(model: ResidualNetwork) -> Tensor:
    """L_S = sum_l A_l sum_i P(z_li > 0)   (Section 3.3): the expectation of the volume."""
    return COSTS["volume"].expected(model)


def expected_flops(model: ResidualNetwork) -> Tensor:
    """L_S for the FLOP metric (Section 3.3): sum_l 2 KH KW A_l E[features read] E[written]."""
    return COSTS["flops"].expected(model)


def expected_writes(site: Site) -> Tensor:
    """E[number of live features that the site writes]: sum_i P(z_i > 0)."""
    if site.gate is None:
        return _constant(site.conv.c_out, site)
    return total(site.gate.probability_active())


def expected_reads(site: Site) -> Tensor:
    """E[number of live features that the site reads].

    A convolution inside a block reads what the one before it writes. One that reads a residual
    signal reads feature i if any of the signal's gates has it: 1 - prod_k (1 - P(z_ki > 0)).
    """
    gates = [source.gate for source in site.reads]
    if not gates or None in gates:
        return _constant(site.conv.c_in, site)
    absent = reduce(mul, (1 - gate.probability_active() for gate in gates))
    return total(1 - absent)


def _constant(value: float, site: Site) -> Tensor:
    xp = array_module(site.conv.weight.data)
    return Tensor(xp.asarray(value, site.conv.weight.dtype))
