"""The budget: what the user asks for, and how it moves during training (Section 3.4)."""

from __future__ import annotations

import math

KINDS = ("sigmoid", "linear", "exponential")
MARGIN = 1e-4  # a = B - MARGIN V_F


def transition(t: float, kind: str = "sigmoid", hardness: float = 10.0) -> float:
    """T(t), from T(0) = 0 to T(1) = 1, for the fraction t in [0, 1] of the iterations.

    sigmoid:      (S(d (t - 1/2)) - delta) / (1 - 2 delta),  delta = S(-d/2)   (Supp. Eq. 1)
    linear:       t                                     (the limit of both others for d -> 0)
    exponential:  (1 - e^(-d t)) / (1 - e^-d)           (fast first, slow at the end; Section 3.4)

    with d = hardness and S the logistic function. The paper gives no formula for the exponential.
    Raises ValueError for t outside [0, 1], an unknown kind, or hardness <= 0.
    """
    if not 0 <= t <= 1:
        raise ValueError(f"a transition is defined for 0 <= t <= 1, got {t}")
    if not (hardness > 0 and math.isfinite(hardness)):
        raise ValueError(
            f"hardness must be positive, got {hardness} (its limit 0 is kind='linear')"
        )
    d = max(hardness, 1e-300)  # a smaller product with t is 0
    if kind == "sigmoid" and d < 1:  # S(x) = (1 + tanh(x/2)) / 2: 1 - 2 delta would cancel
        return 0.5 + 0.5 * math.tanh(0.5 * d * (t - 0.5)) / math.tanh(0.25 * d)
    if kind == "sigmoid":
        delta = _logistic(-0.5 * d)
        return (_logistic(d * (t - 0.5)) - delta) / (1 - 2 * delta)
    if kind == "linear":
        return float(t)
    if kind == "exponential":
        return math.expm1(-d * t) / math.expm1(-d)
    raise ValueError(f"unknown transition {kind!r}: use one of {', '.join(KINDS)}")


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def budget(t: float, full: float, target: float, kind: str = "sigmoid") -> tuple[float, float]:
    """(a, b):  b = (1 - T(t)) V_F + T(t) B   (Eq. 7),  a = B - 10^-4 V_F.

    t: iteration index / (iterations - 1). full: V_F; target: B.
    Raises ValueError unless 0 < B <= V_F < inf, and as `transition`.
    """
    if not 0 < target <= full < math.inf:
        raise ValueError(f"a budget needs 0 < target <= full, got target={target}, full={full}")
    progress = transition(t, kind)
    return target - MARGIN * full, (1 - progress) * full + progress * target
