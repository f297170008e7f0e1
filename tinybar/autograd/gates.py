"""The hard-concrete distribution: sampling by its inverse CDF, and P(z > 0) [Louizos et al. 2018].

alpha is the location (its logarithm is learnt), beta the temperature; the binary concrete variable
s in (0, 1) is stretched to (gamma, zeta) and clamped, so that 0 and 1 carry probability (Supp. 7).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module, zero_where
from .elementwise import logistic
from .primitive import primitive
from .tensor import Operand

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # Supp. 7.1, "as per [22]"
THRESHOLD = BETA * math.log(-GAMMA / ZETA)  # -1.5986: the log alpha at which z(1/2) leaves 0


@primitive(inputs=1, floating=True)
def hard_concrete(log_alpha: Operand, epsilon: Any):
    """z = clamp_{0,1}(s (zeta - gamma) + gamma), the inverse of the hard-concrete distribution.

    Supp. Eq. 4, with s = sigmoid((ln epsilon - ln(1 - epsilon) + log_alpha) / beta).
    log_alpha, z: one entry per gate. epsilon: the noise, of the same shape, strictly inside (0, 1);
    or 1/2, its mean: then s = sigmoid(log_alpha / beta).
    glog_alpha = gz (zeta - gamma)/beta s (1 - s) where 0 < z < 1, and 0 where z is clamped.
    Raises ValueError for noise of another shape; on the CPU also for noise outside (0, 1), after
    rounding to log_alpha's precision (on a GPU that check would be a wait).
    """
    xp = array_module(log_alpha)
    epsilon = xp.asarray(epsilon, log_alpha.dtype)
    if epsilon.shape not in ((), log_alpha.shape):
        raise ValueError(f"epsilon of shape {epsilon.shape} for log_alpha {log_alpha.shape}")
    if xp is np and not ((epsilon > 0) & (epsilon < 1)).all():
        raise ValueError("epsilon must lie strictly inside (0, 1): its logit is used")
    z, s = concrete(log_alpha, epsilon, BETA, GAMMA, ZETA)
    return z, lambda gz: concrete_pullback(gz, z, s, (ZETA - GAMMA) / BETA)


@accelerated
def concrete(log_alpha, epsilon, beta, gamma, zeta):
    """(z, s) of `hard_concrete`.   epsilon: an entry for each of log_alpha, or one for all."""
    xp = array_module(log_alpha)
    s = logistic((xp.log(epsilon) - xp.log1p(-epsilon) + log_alpha) / beta)
    return xp.clip(s * (zeta - gamma) + gamma, 0, 1), s


@accelerated
def concrete_pullback(gz, z, s, slope):
    """glog_alpha of `hard_concrete`.   slope: (zeta - gamma)/beta."""
    return zero_where((z <= 0) | (z >= 1), gz) * slope * s * (1 - s)


@primitive(inputs=1, floating=True)
def probability_open(log_alpha: Operand):
    """p = P(z > 0) = sigmoid(log_alpha - beta ln(-gamma / zeta)).   glog_alpha = gp p (1 - p).

    Supp. Eq. 5. log_alpha, p: one entry per gate.
    """
    p = logistic(log_alpha - THRESHOLD)
    return p, lambda gp: gp * p * (1 - p)
