"""A row of the audit's table."""

from __future__ import annotations

from dataclasses import dataclass


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
