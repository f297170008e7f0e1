"""The variational information bottleneck [Dai et al. 2018], the paper's IB (Section 5.1).

    L = L_CE + lambda sum_l gamma_l sum_i 1/2 ln(1 + mu_li^2 / sigma_li^2)

The paper prints log(1 - mu^2 / sigma^2) (errata A4). The method's own code has a factor gamma_l:
the area of the feature map, as the information of all positions adds up, times a constant of the
layer that in most of its networks is 1 / side.
"""

from __future__ import annotations

import math

from ...nn.gaussian import Gaussian
from ...nn.networks.residual import CompactNetwork
from ..structure import Site
from .recipe import Run, method
from .search import probed_epochs, search_and_finish

START = 0.05  # see `first_lambda`; on the digits it leads near the budget


@method("ib", "IB, the variational information bottleneck", epochs=probed_epochs)
def ib(run: Run) -> CompactNetwork:
    """Train with a price on information, prune by sigma^2 / mu^2 >= 1, fine-tune (Supp. 3.1).

    There is no budget; nor distillation, as in the method's own paper.
    """
    return search_and_finish(run, Gaussian, price, START)


def price(site: Site) -> float:
    """gamma_l: the side of the feature map, sqrt(A_l)."""
    return math.sqrt(site.area)
