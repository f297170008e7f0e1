"""What a network costs: exactly, once hard-pruned, and in expectation, differentiable in the gates.

A cost is a pair of functions, listed in `COSTS`; to add one, write the pair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, mul
from typing import NamedTuple

import numpy as np

from .. import backend
from ..autograd import Tensor
from ..autograd import sum as total
from ..nn.residual import ResidualNetwork
from .liveness import Site, hard_pruned, only_vital, sites


def volume(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """V = sum_l sum_i Ind(z_li > 0) A_l: neurons that the hard-pruned network computes (Eq. 4)."""
    return sum(conv.volume for conv in hard_pruned(model, connectivity))


def flops(model: ResidualNetwork, connectivity: str = "mixed") -> int:
    """Operations of the hard-pruned network's convolutions per image, two per multiply-add."""
    return sum(conv.flops for conv in hard_pruned(model, connectivity))


def expected_volume(model: ResidualNetwork) -> Tensor:
    """L_S = sum_l A_l sum_i P(z_li > 0)   (Section 3.3): the expectation of the volume.

    A scalar Tensor in the dtype of the weights.
    """
    return reduce(add, (_expected_width(site) * site.area for site in sites(model)))


def expected_flops(model: ResidualNetwork) -> Tensor:
    """L_S for the FLOP metric (Section 3.3): sum_l 2 KH KW A_l E[features read] E[written].

    A convolution inside a block reads what the one before it writes. One that reads a residual
    signal reads feature i if any of the signal's gates has it: 1 - prod_k (1 - P(z_ki > 0)).
    """
    terms = []
    for site in sites(model):
        kh, kw = site.conv.kernel
        per_pair = 2 * kh * kw * site.area
        terms.append(_expected_reads(site) * _expected_width(site) * per_pair)
    return reduce(add, terms)


def _constant(value: float, site: Site) -> Tensor:
    xp = backend.array_module(site.conv.weight.data)
    return Tensor(xp.asarray(value, site.conv.weight.dtype))


def _expected_width(site: Site) -> Tensor:
    """E[number of live features that the site writes]."""
    if site.gate is None:
        return _constant(site.conv.c_out, site)
    return total(site.gate.probability_active())


def _expected_reads(site: Site) -> Tensor:
    """E[number of live features that the site reads]."""
    gates = [source.gate for source in site.reads]
    if not gates or None in gates:
        return _constant(site.conv.c_in, site)
    absent = reduce(mul, (1 - gate.probability_active() for gate in gates))
    return total(1 - absent)


class Cost(NamedTuple):
    """A metric that a budget can be set in."""

    exact: Callable[..., int]
    expected: Callable[[ResidualNetwork], Tensor]
    of_layer: str  # the attribute of LiveConv that `exact` sums

    def smallest(self, model: ResidualNetwork) -> int:
        """The cost that no pruning of this network goes below: one feature per vital gate."""
        layers = hard_pruned(model, alive=only_vital)
        return sum(getattr(layer, self.of_layer) for layer in layers)

    def full(self, model: ResidualNetwork) -> int:
        """The cost with every gate open."""
        layers = hard_pruned(model, alive=lambda site: np.ones(site.conv.c_out, bool))
        return sum(getattr(layer, self.of_layer) for layer in layers)


COSTS = {
    "volume": Cost(volume, expected_volume, "volume"),
    "flops": Cost(flops, expected_flops, "flops"),
}
