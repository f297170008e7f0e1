"""Problems for the gradient audit: what one is, and how its arrays are drawn.

Values are drawn away from kinks (|x| >= 0.1, or spaced by 0.1 where the largest is picked), because
a finite difference across a kink means nothing. What happens *at* the kinks is a convention,
written in the primitive's docstring and tested on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..autograd import PRIMITIVES


@dataclass(frozen=True)
class Problem:
    """fn, a function of Tensors, to be differentiated at `inputs` (host arrays)."""

    text: str
    fn: Callable
    inputs: tuple


@dataclass(frozen=True)
class Case:
    """The problems of the primitive called `name`: `problems(rng)` draws them anew."""

    name: str
    problems: Callable[[np.random.Generator], Iterator[Problem]]

    @property
    def source(self) -> str:
        """The formula: the first line of the primitive's docstring."""
        return PRIMITIVES[self.name].__doc__.splitlines()[0]


CASES: dict[str, Case] = {}


def case(name: str):
    """Make the decorated generator of problems the case of the primitive called `name`."""

    def register(problems):
        if name in CASES:
            raise ValueError(f"{name!r} has a case already")
        CASES[name] = Case(name, problems)
        return problems

    return register


# --- values and shapes ------------------------------------------------------------------------


def away(rng, *shape: int, least=0.1, most=2.0):
    """Random signs, least <= |x| <= most: away from a kink or a pole at 0."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(least, most, shape)


def positive(rng, *shape: int):
    """Well above 0, where ln and sqrt have their pole and their kink."""
    return rng.uniform(0.4, 2.0, shape)


def spaced(rng, *shape: int):
    """Distinct values, 0.1 apart, in random order: who is the largest does not depend on eps."""
    n = int(np.prod(shape))
    return (0.1 * (rng.permutation(n) - n // 2) + 0.03).reshape(shape)


def probabilities(rng, *shape: int):
    """Rows of positive numbers that sum to 1."""
    p = rng.uniform(0.1, 1.0, shape)
    return p / p.sum(axis=-1, keepdims=True)


def a_shape(rng, dims: int) -> tuple[int, ...]:
    """`dims` extents from 1 to 4."""
    return tuple(int(n) for n in rng.integers(1, 5, dims))


def broadcasting(rng) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of shapes that broadcast: equal, one more axis, stretched both ways, with a scalar."""
    a, b, c = (int(n) for n in rng.integers(2, 5, 3))
    yield (a, b), (a, b)
    yield (a, b, c), (c,)
    yield (b, 1), (a, 1, c)
    yield (a, 1), (1, b)
    yield (), (a, b)
    yield (a, b), ()


def unary(fn, values):
    """Problems for a function of one variable, element by element."""

    def problems(rng):
        for dims in (0, 1, 3):
            shape = a_shape(rng, dims)
            yield Problem(f"shape {shape}", fn, (values(rng, *shape),))

    return problems


def binary(fn, values, others):
    """Problems for a function of two variables that broadcasts; both may be the same tensor."""

    def problems(rng):
        for a, b in broadcasting(rng):
            yield Problem(f"shapes {a} and {b}", fn, (values(rng, *a), others(rng, *b)))

    return problems
