"""L0 regularization [Louizos et al. 2018], which the paper calls LZR (Section 5.1).

    L = L_CE + lambda sum_l L_HC(Phi_l),   L_HC(Phi_l) = sum_i P(z_li > 0)   (Supp. Eq. 5)

lambda is per channel, for the mean cross-entropy of an image. Louizos et al. have a lambda for each
layer, count a channel as many times as it has weights, and write lambda as a number over N, the
number of training images. Here, as in the paper, the widths are what is penalised.
"""

from __future__ import annotations

from ...nn.gates import HardConcrete
from ...nn.networks.residual import CompactNetwork
from ..structure import Site
from .recipe import Run, method
from .search import probed_epochs, search_and_finish

START = 0.5  # see `first_lambda`; on the digits it leads near the budget


@method("l0", "LZR, L0 regularization", epochs=probed_epochs)
def l0(run: Run) -> CompactNetwork:
    """Train with a price on open channels, prune by the gates' threshold, fine-tune (Supp. 3.1).

    The gates are BAR's. There is no budget, no area and no distillation (Section 5.1).
    """
    return search_and_finish(run, HardConcrete, price, START)


def price(site: Site) -> float:
    """1: "layer width instead of activation tensor volume" (Section 5.1)."""
    return 1.0
