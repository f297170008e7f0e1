"""Which channels of a residual signal exist, to what reads it behind a batch norm.

    live = 1 - prod_k (1 - l(z_k)),   k over the gates that have written the signal so far

It is 0 exactly where all of these are closed, whichever of two functions l is: `hard`, the paper's
indicator, or `soft`, an extension. Batch norm undoes the scale of what the gates multiply; live is
multiplied behind it, so that under `soft` the data's gradient reaches the gates:

    d live / d z_k = prod_{j != k} (1 - z_j),   E[live] = 1 - prod_k (1 - E[z_k]),   for z <= 1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import autograd as ag
from ...autograd import Tensor
from ...kernels.dispatch import accelerated

Indicator = Callable[[Tensor], Tensor]  # l: (C,) -> (C,)


def hard(z: Tensor) -> Tensor:
    """Ind(z > 0): a channel exists or not. No gradient."""
    return Tensor((z.data > 0).astype(z.dtype))


def soft(z: Tensor) -> Tensor:
    """min(z, 1): a channel exists as far as its gate is open. (Some gates' z can exceed 1.)"""
    return ag.clip(z, 0, 1)


LIVE: dict[str, Indicator] = {"hard": hard, "soft": soft}


def either(live: Any, written: Any) -> Any:
    """1 - (1 - live)(1 - written), for arrays or Tensors.   live, written: (C,), in [0, 1].

    Added up so that no small z is lost in the rounding of 1 - z: what is open is live.
    """
    return live + (1 - live) * written


def after(live: Tensor, z1: Tensor, z2: Tensor, indicator: Indicator) -> Tensor:
    """`live` behind a delta that z2 gates, which is nothing where all of z1 are closed."""
    if indicator is hard:  # in one operation
        return Tensor(hard_after(live.data, z1.data, z2.data))
    return either(live, indicator(z2) * Tensor(any_open(z1.data)))


@accelerated
def hard_after(live, z1, z2):
    """`after`, of `hard`: 0 or 1, (C,).   live: 0 or 1."""
    return either(live, (z2 > 0) * any_open(z1))


@accelerated
def any_open(z):
    """(1,): 1 if any z > 0, else 0."""
    return (z > 0).any().astype(z.dtype).reshape(1)
