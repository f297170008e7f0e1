"""Vector quantisation: the centres of clusters of filters are the new filters."""

from __future__ import annotations

import numpy as np

from ...nn.networks.residual import CompactNetwork
from ..clusters import k_means
from ..narrowing import Change, one_channel_each
from .recipe import Run, method
from .rounds import epochs, in_rounds


@method("vq", "filters are clustered, in rounds", one_channel_each, epochs)
def vq(run: Run) -> CompactNetwork:
    """The filters are clustered, the centres are the new ones (Section 5.1); rounds (Supp. 3.2)."""
    return in_rounds(run, clustered)


def clustered(filters: np.ndarray, n: int) -> Change:
    """The means of n clusters; what read a member reads its centre.   filters: (features, C).

    M (n, C) is the membership; the centres are W M^T / (their sizes), and the input slices of what
    reads are summed by cluster, M W.
    """
    member = np.eye(n)[:, k_means(filters.T, n)]
    return Change(member.T / member.sum(axis=1), member)
