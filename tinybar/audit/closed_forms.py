"""All closed forms: importing this module enters them in `CLOSED_FORMS`."""

from __future__ import annotations

from collections.abc import Iterable

from . import barrier, counts, gates, losses, networks  # noqa: F401 - they enter themselves
from .checks import CLOSED_FORMS
from .rows import Row

GROUPS = ("gates", "barrier", "budget", "costs", "losses", "updates", "networks")


def audit_closed_forms(seed: int = 0, names: Iterable[str] | None = None) -> list[Row]:
    """A row for every closed form (or for those in `names`), computed on the current device."""
    checks = CLOSED_FORMS.values() if names is None else [CLOSED_FORMS[name] for name in names]
    ordered = sorted(checks, key=lambda check: GROUPS.index(check.group))  # stable within a group
    return [check.run(seed) for check in ordered]
