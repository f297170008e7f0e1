"""The gradient audit: every registered primitive against finite differences.

It differentiates a primitive at its problems: those that it registered itself, or `problems.py`
for it. One without any is a failing row, so none can be added unchecked. Values are drawn away
from kinks (|x| >= 0.1, or spaced by 0.1 where the largest is picked): a finite difference across
a kink means nothing. What happens *at* a kink is a convention, written in the primitive's docstring
and tested on its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..autograd import PRIMITIVES, GradientError, gradcheck
from ..runtime.arrays import to_device
from .checks import Row

RTOL = 1e-6


def audit_primitives(seed: int = 0, names: Iterable[str] | None = None) -> list[Row]:
    """A row for every primitive (or for those in `names`), checked on the current device.

    The problems of a primitive depend on `seed` and its name alone.
    """
    return [_audit(name, seed) for name in (sorted(PRIMITIVES) if names is None else names)]


def problems_of(name: str, seed: int = 0) -> list[tuple[Any, ...]]:
    """(text, function of Tensors, its inputs as host arrays) of every problem of a primitive."""
    draw = PRIMITIVES[name].draw_problems
    if draw is None:
        return []
    return list(draw(np.random.default_rng([seed, zlib.crc32(name.encode())])))


def _audit(name: str, seed: int) -> Row:
    source = (PRIMITIVES[name].__doc__ or "").partition("\n")[0]  # the formula
    problems, worst = problems_of(name, seed), 0.0
    if not problems:
        return Row("primitive", name, source, np.inf, RTOL, False, "no problems to check it at")
    for text, function, inputs in problems:
        try:
            relative = gradcheck(function, [to_device(array) for array in inputs], rtol=RTOL)
        except Exception as error:  # whatever happens is a failure of this row, not of the audit
            said = str(error) if isinstance(error, GradientError) else f"{error!r}"
            relative = getattr(error, "relative", np.inf)
            return Row("primitive", name, source, relative, RTOL, False, f"{text}: {said}")
        worst = max(worst, relative)
    return Row("primitive", name, source, worst, RTOL, True, f"{len(problems)} problems")


# --- values and shapes ------------------------------------------------------------------------


def away(
    rng: np.random.Generator, *shape: int, least: float = 0.1, most: float = 2.0
) -> np.ndarray:
    """Random signs, least <= |x| <= most: away from a kink or a pole at 0."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(least, most, shape)


def positive(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Well above 0, where ln and sqrt have their pole and their kink."""
    return rng.uniform(0.4, 2.0, shape)


def spaced(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Distinct values, 0.1 apart, in random order: who is the largest does not depend on eps."""
    n = int(np.prod(shape))
    return (0.1 * (rng.permutation(n) - n // 2) + 0.03).reshape(shape)


def probabilities(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Rows of positive numbers that sum to 1."""
    p = rng.uniform(0.1, 1.0, shape)
    return p / p.sum(axis=-1, keepdims=True)


def a_shape(rng: np.random.Generator, dims: int) -> tuple[int, ...]:
    """`dims` extents from 1 to 4."""
    return tuple(int(n) for n in rng.integers(1, 5, dims))


def broadcasting(rng: np.random.Generator) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of shapes that broadcast: equal, one more axis, stretched both ways, with a scalar."""
    a, b, c = (int(n) for n in rng.integers(2, 5, 3))
    yield (a, b), (a, b)
    yield (a, b, c), (c,)
    yield (b, 1), (a, 1, c)
    yield (a, 1), (1, b)
    yield (), (a, b)
    yield (a, b), ()


def unary(fn: Callable[..., Any], values: Any) -> Any:
    """Problems for a function of one variable, element by element."""

    def problems(rng):
        for dims in (0, 1, 3):
            shape = a_shape(rng, dims)
            yield f"shape {shape}", fn, (values(rng, *shape),)

    return problems


def binary(fn: Callable[..., Any], values: Any, others: Any) -> Any:
    """Problems for a function of two variables that broadcasts; both may be the same tensor."""

    def problems(rng):
        for a, b in broadcasting(rng):
            yield f"shapes {a} and {b}", fn, (values(rng, *a), others(rng, *b))

    return problems
