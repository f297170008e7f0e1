"""A row of the audit's table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One thing that was checked.

    group, name: what.   source: the formula or the equation it is held to.
    error: the largest disagreement found, relative unless `detail` says otherwise (inf where the
    check could not be made).   bound: what is accepted.
    detail: how it was checked, or how it failed.
    """

    group: str
    name: str
    source: str
    error: float
    bound: float
    passed: bool
    detail: str

    def as_dict(self) -> dict:
        """The row for JSON, which knows no infinity: an error that is not finite is None there."""
        error = float(self.error)
        return asdict(self) | {
            "error": error if math.isfinite(error) else None,
            "bound": float(self.bound),
            "passed": bool(self.passed),
        }
