"""The hard-concrete distribution: sampling by its inverse CDF, and P(z > 0) [Louizos et al. 2018].

alpha is the location (its logarithm is learnt), beta the temperature; the binary concrete variable
s in (0, 1) is stretched to (gamma, zeta) and clamped, so that 0 and 1 carry probability (Supp. 7).
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.arrays import array_module
from .elementwise import sigmoid
from .primitive import primitive

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # Supp. 7.1, "as per [22]"
THRESHOLD = BETA * math.log(-GAMMA / ZETA)  # -1.5986: the log alpha at which z(1/2) leaves 0


def _sigmoid(x):
    return sigmoid.function(x)[0]


@primitive(inputs=1, floating=True)
def hard_concrete(log_alpha, epsilon):
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
    s = _sigmoid((xp.log(epsilon) - xp.log1p(-epsilon) + log_alpha) / BETA)
    stretched = s * (ZETA - GAMMA) + GAMMA

    def pullback(gz):
        inside = (stretched > 0) & (stretched < 1)
        return xp.where(inside, gz, 0) * ((ZETA - GAMMA) / BETA) * s * (1 - s)

    return xp.clip(stretched, 0, 1), pullback


@primitive(inputs=1, floating=True)
def probability_open(log_alpha):
    """p = P(z > 0) = sigmoid(log_alpha - beta ln(-gamma / zeta)).   glog_alpha = gp p (1 - p).

    Supp. Eq. 5. log_alpha, p: one entry per gate.
    """
    p = _sigmoid(log_alpha - THRESHOLD)
    return p, lambda gp: gp * p * (1 - p)
