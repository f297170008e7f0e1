"""What a form of the convolution is, and how a batch is worked on part by part.

The images of a batch are independent, and the gradient of the weight is a sum over them. So every
form need only know about a few images at a time: what it makes of them then fits in a core's
cache, and every core has its own few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...runtime import threads

SCRATCH = 300_000  # numbers that a part may make of its images: 1.2 MB in float32


class Form(NamedTuple):
    """A convolution by a given weight.

    forward(x) -> y. adjoints(x, gy, needs) -> (gx, gweight), None for what is not needed.
    rows: rows of its matrix products, per image. scratch: numbers made on the way, per image.
    """

    forward: Callable
    adjoints: Callable
    rows: int
    scratch: int


def image_parts(n: int, form: Form, channels: int) -> list[slice]:
    """n images in parts, by shapes alone.

    A part's scratch should fit in the cache; but its products should have twice as many rows as
    the weight has, or reading the weight costs more than is won: wide layers are done in one.
    """
    least = -(-2 * channels // form.rows)
    size = max(SCRATCH // max(1, form.scratch), least, 1)
    parts = n // size
    return threads.slices(n, parts - parts % 2 if parts > 1 else 1)


def by_parts(form: Form, parts: list[slice], size: tuple[int, int], c_out: int) -> Form:
    """The form, worked on part by part, on all cores. size: (OH, OW)."""

    def forward(x):
        y = np.empty((len(x), *size, c_out), x.dtype)

        def compute(part):
            y[part] = form.forward(x[part])

        threads.each(compute, parts)
        return y

    def adjoints(x, gy, needs):
        gx = np.empty(x.shape, gy.dtype) if needs[0] else None

        def compute(part):
            gx_part, gweight_part = form.adjoints(x[part], gy[part], needs)
            if gx is not None:
                gx[part] = gx_part
            return gweight_part

        gweights = threads.each(compute, parts)
        return gx, sum(gweights[1:], gweights[0]) if needs[1] else None

    return form._replace(forward=forward, adjoints=adjoints)
