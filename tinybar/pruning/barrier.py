"""The barrier function (Section 3.3)."""

from __future__ import annotations

import math


def barrier(volume: float, a: float, b: float) -> float:
    """f = (V - a)^2 / ((b - V)(b - a)) for a < V < b;  0 for V <= a;  inf for V >= b   (Eq. 5).

    With c = (V - a)/(b - a) this is g(c) = c^2/(1 - c): g(0) = g'(0) = 0, and a pole at c = 1.
    volume, a, b: in the units of the budget (neurons for the volume metric).
    Raises ValueError for NaN, and unless a < b are finite.
    """
    if math.isnan(volume):
        raise ValueError("the barrier's volume is not a number")
    if not (math.isfinite(a) and math.isfinite(b) and a < b):
        raise ValueError(f"the barrier needs finite margins a < b, got a={a}, b={b}")
    if volume <= a:
        return 0.0
    if volume >= b:
        return math.inf
    return (volume - a) / (b - volume) * ((volume - a) / (b - a))
