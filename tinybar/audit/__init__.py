"""What `tinybar audit` checks: every gradient, and every closed form of the paper."""

from . import (
    barrier,
    constrained,
    counts,
    gates,
    live,
    losses,
    methods,
    networks,
    priors,
    problems,
)  # which register what they hold
from .checks import Row, audit_closed_forms
from .gradients import audit_primitives


def run_audit(seed: int = 0) -> list[Row]:
    """The rows of all checks, primitives first, on the current device.

    The problems depend on `seed` alone; the random streams do not change.
    """
    return audit_primitives(seed) + audit_closed_forms(seed)


__all__ = [
    "Row",
    "barrier",
    "constrained",
    "counts",
    "gates",
    "live",
    "losses",
    "methods",
    "networks",
    "priors",
    "problems",
    "run_audit",
]
