"""Random channels go: the paper's baseline."""

from __future__ import annotations

import numpy as np

from ...nn.networks.residual import CompactNetwork
from ...runtime.random import stream
from ..narrowing import Change, kept, one_channel_each
from .recipe import Run, method
from .rounds import epochs, in_rounds


@method("random", "random channels go, in rounds", one_channel_each, epochs)
def random(run: Run) -> CompactNetwork:
    """Feature maps to be removed are selected at random (Section 5.1), in rounds (Supp. 3.2)."""
    return in_rounds(run, drawn)


def drawn(filters: np.ndarray, n: int) -> Change:
    """n of the channels, each as likely (stream "gates").   filters: (features, C)."""
    channels = filters.shape[1]
    return kept(stream("gates").choice(channels, n, replace=False), channels)
