"""Closed forms: what a check is, and what checks share.

A check is a function that derives something a second time, in another way than the library does
(quadrature, finite differences, sampling, enumeration, counting by hand), and returns how far the
library's result is from it:

    @closed_form("gates", "P(z > 0)", "Supp. Eq. 5", bound=1e-12)
    def p_active(rng):
        '''How it is derived.'''
        return relative(found, expected)

All checks are found in `CLOSED_FORMS` under their names. Arrays of the second derivation are
NumPy's, on the host; the library computes in float64 on the current device.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from ..autograd import Tensor
from ..nn import BatchNorm2d, HardConcrete, Linear, Module
from ..runtime import random
from ..runtime.arrays import to_device, to_numpy

CLOSED_FORMS: dict[str, Check] = {}
GROUPS = ("gates", "barrier", "budget", "costs", "losses", "updates", "networks", "methods")


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

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON, which knows no infinity: an error that is not finite is None there."""
        error = float(self.error)
        return asdict(self) | {
            "error": error if math.isfinite(error) else None,
            "bound": float(self.bound),
            "passed": bool(self.passed),
        }


@dataclass(frozen=True)
class Check:
    """measure: (random generator) -> error; passed if that is at most `bound` (nan is not)."""

    group: str
    name: str
    source: str
    bound: float
    measure: Callable[[np.random.Generator], float]

    def run(self, seed: int = 0) -> Row:
        """The row of this check; its draws depend on `seed` and its name alone.

        The random streams are afterwards as they were before. A check that raises is a failing
        row with an infinite error.
        """
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        detail = (self.measure.__doc__ or "").partition("\n")[0]
        streams = random.streams_state()
        random.seed(seed)
        try:
            error = float(self.measure(rng))
        except Exception as failure:  # whatever happens fails this row, not the whole audit
            error, detail = math.inf, f"{type(failure).__name__}: {failure}"
        finally:
            random.restore_streams(streams)
        passed = error <= self.bound
        return Row(self.group, self.name, self.source, error, self.bound, passed, detail)


def closed_form(group: str, name: str, source: str, bound: float) -> Any:
    """Register the decorated function as the check called `name`."""

    def register(measure: Callable[[np.random.Generator], float]) -> Check:
        if name in CLOSED_FORMS:
            raise ValueError(f"a closed form called {name!r} is checked already")
        check = CLOSED_FORMS[name] = Check(group, name, source, bound, measure)
        return check

    return register


def audit_closed_forms(seed: int = 0, names: Iterable[str] | None = None) -> list[Row]:
    """A row for every closed form (or for those in `names`), computed on the current device."""
    checks = CLOSED_FORMS.values() if names is None else [CLOSED_FORMS[name] for name in names]
    ordered = sorted(checks, key=lambda check: GROUPS.index(check.group))  # stable within a group
    return [check.run(seed) for check in ordered]


# --- errors ---------------------------------------------------------------------------------------


def relative(found: Any, expected: Any) -> float:
    """max |found - expected| / max |expected|; inf if their shapes differ.

    found may be on the device. Where all that is expected is 0, the error is absolute.
    """
    found, expected = host(found), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return math.inf
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))


def unless(condition: Any, error: float = 0.0) -> float:
    """`error` if the condition holds, else inf: for what is either true or false."""
    return error if condition else math.inf


# --- library and host -----------------------------------------------------------------------------


def host(array: Any) -> np.ndarray:
    """The values of an array or a Tensor, on the host."""
    return to_numpy(array.data if isinstance(array, Tensor) else array)


def tensor(values: Any, requires_grad: bool = False) -> Tensor:
    """A Tensor in float64, on the current device."""
    return Tensor(to_device(np.array(values, np.float64)), requires_grad)


def assign(parameter: Any, values: Any) -> None:
    """Overwrite a parameter or a buffer with host values."""
    array = parameter.data if isinstance(parameter, Tensor) else parameter
    array[...] = to_device(np.broadcast_to(np.asarray(values, np.float64), array.shape))


def gate(log_alpha: Any, keep_one: bool = False) -> HardConcrete:
    """A gate with these log alphas (C,), in float64 and in evaluation mode."""
    made = HardConcrete(np.size(log_alpha)).astype(np.float64).eval()
    made.keep_one = keep_one
    assign(made.log_alpha, log_alpha)
    return made


Net = TypeVar("Net", bound=Module)


def randomise(model: Net, rng: np.random.Generator) -> Net:
    """The model in float64 and evaluation mode, no number of it at a special value.

    Gates are open and closed at random, z of the open ones anywhere in (0, 1].
    """
    model.astype(np.float64).eval()
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            n = module.gamma.shape
            assign(module.gamma, rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n))
            assign(module.beta, rng.uniform(-0.5, 1, n))
            assign(module.running_mean, rng.uniform(-1, 1, n))
            assign(module.running_var, rng.uniform(0.3, 3.0, n))
        if isinstance(module, Linear):
            assign(module.bias, rng.standard_normal(module.bias.shape))
        if isinstance(module, HardConcrete):
            assign(module.log_alpha, rng.uniform(-5, 2, module.log_alpha.shape))
    return model
