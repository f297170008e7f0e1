"""The nuPI controller of a Lagrange multiplier [Sohrabi et al. 2024]."""

from __future__ import annotations

from typing import NamedTuple


class Gains(NamedTuple):
    """Of the controller. integral, proportional: kappa_I and kappa_P, with the dual learning rate
    eta in both. nu: how much of the old mean stays in the mean of the errors.
    """

    integral: float
    proportional: float = 0.0
    nu: float = 0.0


class Multiplier(NamedTuple):
    """lambda, and xi, the mean of the errors until now; None before the first."""

    value: float = 0.0
    smooth: float | None = None

    def after(self, error: float, gains: Gains) -> Multiplier:
        """lambda <- max(0, lambda + kappa_I e + kappa_P (xi - xi_before)),

            xi = nu xi_before + (1 - nu) e,   xi_before = e at the first step.

        error: how far the constraint is violated, negative where it holds. With kappa_P = 0, and at
        the first step, this is gradient ascent on the multiplier ("dual ascent"). The second term
        answers to a violation that grows before the sum of violations has grown: it damps.
        """
        before = error if self.smooth is None else self.smooth
        smooth = gains.nu * before + (1 - gains.nu) * error
        change = gains.integral * error + gains.proportional * (smooth - before)
        return Multiplier(max(0.0, self.value + change), smooth)
