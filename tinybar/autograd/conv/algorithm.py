"""What an algorithm of the convolution is, and how it works on a batch part by part.

The images of a batch are independent, and the gradient of the weight is a sum over them. So an
algorithm needs a few images at a time only: what it makes of them then fits in a core's cache, and
every core has its own few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...runtime import threads
from ...runtime.arrays import array_module

SCRATCH = 300_000  # intermediate numbers of a part that fit in a core's cache: 1.2 MB in float32


class Algorithm(NamedTuple):
    """A way to convolve images with a given weight.

    forward(x) -> y.   pullback(x, gy, needs) -> (gx, gweight), None for what is not needed.
    rows_per_image: of its matrix products.   scratch_per_image: intermediate numbers.
    """

    forward: Callable[..., Any]
    pullback: Callable[..., Any]
    rows_per_image: int
    scratch_per_image: int


def separately(to_x: Callable[..., Any], to_weight: Callable[..., Any]) -> Callable[..., Any]:
    """The pullback of an algorithm whose two gradients share no work."""
    return lambda x, gy, needs: (
        to_x(x, gy) if needs[0] else None,
        to_weight(x, gy) if needs[1] else None,
    )


def product(a: Any, b: Any, shape: tuple[int, ...]) -> Any:
    """a b as an array of that shape, and no view: the tape copies views before it keeps them."""
    xp = array_module(a)
    made = xp.empty(shape, a.dtype)
    xp.matmul(a, b, out=made.reshape(a.shape[0], b.shape[1]))
    return made


def image_parts(n: int, algorithm: Algorithm, channels: int) -> list[slice]:
    """n images in parts, which depend on shapes alone.

    A part's scratch should fit in the cache; but its products should have twice as many rows as
    the weight has, or reading the weight costs more than is won: wide layers are done in one.
    """
    least = -(-2 * channels // algorithm.rows_per_image)
    size = max(SCRATCH // max(1, algorithm.scratch_per_image), least, 1)
    parts = n // size
    return threads.slices(n, parts - parts % 2 if parts > 1 else 1)


def by_parts(
    algorithm: Algorithm, parts: list[slice], size: tuple[int, int], c_out: int
) -> Algorithm:
    """The algorithm, working on part by part, on all cores.   size: (OH, OW)."""

    def forward(x):
        y = np.empty((len(x), *size, c_out), x.dtype)

        def compute(part):
            y[part] = algorithm.forward(x[part])

        threads.each(compute, parts)
        return y

    def pullback(x, gy, needs):
        gx = np.empty(x.shape, gy.dtype) if needs[0] else None

        def compute(part):
            gx_part, gweight_part = algorithm.pullback(x[part], gy[part], needs)
            if gx is not None:
                gx[part] = gx_part
            return gweight_part

        gweights = threads.each(compute, parts)
        return gx, sum(gweights[1:], gweights[0]) if needs[1] else None

    return algorithm._replace(forward=forward, pullback=pullback)
