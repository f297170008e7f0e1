"""Softmax and its relatives, and the cross-entropy built on them.

All subtract the largest logit first, and take the logarithm of the sum of what is left: nothing
overflows, and only the differences of the logits matter, however large they are. A logit of -inf is
a class of probability 0; where all are -inf, or one is +inf or NaN, softmax is not defined (NaN).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..runtime.arrays import array_module
from .primitive import primitive
from .reduction import normalise_axes
from .sums import total
from .tensor import Operand


def _shifted(x, axes):
    """x minus its largest along the axes."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return x - x.max(axis=axes, keepdims=True)


def _log_softmax(x, axes):
    xp, shifted = array_module(x), _shifted(x, axes)
    return shifted - xp.log(total(xp.exp(shifted), axes))


@primitive(inputs=1, floating=True)
def logsumexp(x: Operand, axis: int | Sequence[int] | None = -1):
    """y = ln sum_j e^x_j along `axis` (an axis, several, or None: all).   gx_j = gy e^(x_j - y)."""
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    largest = x.max(axis=axes, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, 0)  # all -inf: ln 0 = -inf, not nan
    with np.errstate(divide="ignore", over="ignore"):
        kept = largest + xp.log(total(xp.exp(x - largest), axes))
    shape = kept.shape
    return kept.squeeze(axes), lambda gy: gy.reshape(shape) * xp.exp(x - kept)


@primitive(inputs=1, floating=True)
def log_softmax(x: Operand, axis: int | Sequence[int] | None = -1):
    """y_j = x_j - ln sum_k e^x_k along `axis`.   gx_j = gy_j - e^y_j sum_k gy_k."""
    xp, axes = array_module(x), normalise_axes(axis, x.ndim)
    y = _log_softmax(x, axes)
    return y, lambda gy: gy - xp.exp(y) * total(gy, axes)


@primitive(inputs=1, floating=True)
def softmax(x: Operand, axis: int | Sequence[int] | None = -1):
    """y_j = e^x_j / sum_k e^x_k along `axis`.   gx_j = y_j (gy_j - sum_k gy_k y_k)."""
    axes = normalise_axes(axis, x.ndim)
    e = array_module(x).exp(_shifted(x, axes))
    y = e / total(e, axes)
    return y, lambda gy: y * (gy - total(gy * y, axes))


@primitive(inputs=2, floating=True, alike=1)
def cross_entropy(logits: Operand, target: Operand):
    """y = -(1/N) sum_n sum_k p_nk ln softmax(logits)_nk, the mean over the batch.

    logits: (N, K). target: labels (N,), integers in 0..K-1 (then p is their one-hot matrix), or
    probabilities (N, K), taken as they are: rows need not sum to 1. 0 ln 0 counts as 0.
    glogits = gy/N (softmax(logits) sum_k p_nk - p);  gtarget = -gy/N ln softmax(logits).
    Raises ValueError for shapes that do not fit, TypeError for labels that are not integers;
    on the CPU also ValueError for labels out of range (on a GPU the check would be a wait:
    data sets check theirs when they are loaded).
    """
    xp, n = array_module(logits), _check(logits, target)
    logp = _log_softmax(logits, (1,))
    if target.ndim == 1:
        is_label = xp.arange(logits.shape[1]) == target[:, None]
        return xp.where(is_label, logp, 0).sum(axis=1).sum() / -n, (
            lambda gy: (xp.exp(logp) - is_label) * (gy / n),
            None,
        )

    p = target.astype(logits.dtype, copy=False)
    return -(p * xp.where(p == 0, 0, logp)).sum() / n, (
        lambda gy: (xp.exp(logp) * p.sum(axis=-1, keepdims=True) - p) * (gy / n),
        lambda gy: logp * (-gy / n),
    )


def _check(logits, target) -> int:
    """N, after all checks."""
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"cross_entropy needs logits (N, K), got {logits.shape}")
    n, k = logits.shape
    if target.shape not in ((n,), (n, k)):
        raise ValueError(
            f"cross_entropy: target has shape {target.shape}, logits {logits.shape} need labels "
            f"({n},) or probabilities ({n}, {k})"
        )
    if target.ndim == 1:
        if target.dtype.kind not in "iu":
            raise TypeError(f"cross_entropy: labels must be integers, got {target.dtype}")
        if array_module(target).__name__ == "numpy" and not (0 <= target.min() <= target.max() < k):
            raise ValueError(
                f"cross_entropy: labels must lie in 0..{k - 1}, got {target.min()}..{target.max()}"
            )
    return n
