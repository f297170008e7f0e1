"""The gradient audit: every registered primitive against finite differences.

A primitive without a case (in `cases.py`) is a failing row, so none can be added unchecked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from ..autograd import PRIMITIVES, GradientError, gradcheck
from ..runtime.arrays import to_device
from .cases import GEOMETRIES
from .checks import Row
from .problems import CASES, Problem, case

__all__ = ["CASES", "GEOMETRIES", "RTOL", "audit_primitives", "case", "check"]

RTOL = 1e-6


def audit_primitives(seed: int = 0, names: Iterable[str] | None = None) -> list[Row]:
    """A row for every primitive (or for those in `names`), checked on the current device.

    The problems of a primitive depend on `seed` and its name alone.
    """
    return [_audit(name, seed) for name in (sorted(PRIMITIVES) if names is None else names)]


def _audit(name: str, seed: int) -> Row:
    source = (PRIMITIVES[name].__doc__ or "").partition("\n")[0]
    if name not in CASES:
        return Row("primitive", name, source, np.inf, RTOL, False, "no case in audit/cases.py")
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    count, worst = 0, 0.0
    for problem in CASES[name].problems(rng):
        try:
            worst = max(worst, check(problem).relative)
        except Exception as error:  # whatever happens is a failure of this row, not of the audit
            said = str(error) if isinstance(error, GradientError) else f"{error!r}"
            relative = getattr(error, "relative", np.inf)
            detail = f"{problem.text}: {said}"
            return Row("primitive", name, source, relative, RTOL, False, detail)
        count += 1
    return Row("primitive", name, source, worst, RTOL, count > 0, f"{count} problems")


def check(problem: Problem):
    """`gradcheck` of one problem, on the current device."""
    inputs = [to_device(array) for array in problem.inputs]
    return gradcheck(problem.fn, inputs, rtol=RTOL)
