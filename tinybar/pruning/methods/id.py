"""Interpolative decomposition: some filters stay, the others are interpolated from them."""

from __future__ import annotations

import numpy as np

from ...nn.networks.residual import CompactNetwork
from ..narrowing import Change, one_channel_each
from .recipe import Run, method
from .rounds import epochs, in_rounds

ROUNDING = 1e-12  # what is left of a filter, as part of the largest, that counts as nothing


@method("id", "filters are interpolated from some of them, in rounds", one_channel_each, epochs)
def interpolative(run: Run) -> CompactNetwork:
    """W = U V, V is multiplied into the next layer (Section 5.1); rounds (Supp. 3.2)."""
    return in_rounds(run, interpolated)


def interpolated(filters: np.ndarray, n: int) -> Change:
    """W ~= W[:, J] T: the filters J stay, and what reads reads T times them.   (features, C)."""
    same = np.asarray(np.linalg.qr(filters, mode="r"))  # turned: the same products in C coordinates
    pivots, r = pivoted_qr(same, n)
    rank = int((np.abs(np.diag(r[:, pivots])) > 0).sum())
    t = np.zeros_like(r)
    t[:rank] = np.linalg.solve(r[:rank, pivots[:rank]], r[:rank])
    t[:, pivots] = np.eye(n)  # as they are, also where they depend on each other
    order = np.argsort(pivots)
    return Change(np.eye(filters.shape[1])[:, pivots[order]], t[order])


def pivoted_qr(w: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """J (n,) and R (n, C) of W ~= Q R, by Gram-Schmidt with column pivoting.   w: (features, C).

    Each step takes the column of which most is left, and takes its direction q from all: R = Q^T W,
    and R[:, J] is triangular. When nothing is left, rows of R are zero and J goes on with the
    first columns.
    """
    rest, r = w.copy(), np.zeros((n, w.shape[1]))
    pivots: list[int] = []
    least = ROUNDING * np.linalg.norm(w, axis=0).max()
    for k in range(n):
        left = np.linalg.norm(rest, axis=0)
        left[left <= least] = 0
        left[pivots] = -1
        pivots.append(int(left.argmax()))
        if left[pivots[-1]] > 0:
            q = rest[:, pivots[-1]] / left[pivots[-1]]
            r[k] = q @ rest
            rest -= np.outer(q, r[k])
    return np.array(pivots), r
