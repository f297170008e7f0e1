"""Filters of small weights go: WM in the paper."""

from __future__ import annotations

import numpy as np

from ...nn.networks.residual import CompactNetwork
from ..narrowing import Change, kept, one_channel_each
from .recipe import Run, method
from .rounds import epochs, in_rounds


@method("magnitude", "filters of small weights go, in rounds", one_channel_each, epochs)
def magnitude(run: Run) -> CompactNetwork:
    """Filters with a small sum of absolute weights go (Section 5.1), in rounds (Supp. 3.2)."""
    return in_rounds(run, largest)


def largest(filters: np.ndarray, n: int) -> Change:
    """The n channels with the largest sum of |w| over their filters.   filters: (features, C).

    The channel of a residual signal has a filter in each of its writers. Of equal sums the first.
    """
    magnitudes = np.abs(filters).sum(axis=0)
    order = np.argsort(-magnitudes, kind="stable")
    return kept(order[:n], len(magnitudes))
