"""What weights begin with, and how many of them may be made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from ..runtime import random

_room: ContextVar[float] = ContextVar("room", default=math.inf)  # entries that may still be made


@contextmanager
def at_most(entries: int) -> Iterator[None]:
    """Raise ValueError where the weights made in the block have more entries than that together.

    What a file says of its network may be wrong: no memory is taken for more than the file holds.
    """
    token = _room.set(entries)
    try:
        yield
    finally:
        _room.reset(token)


def kaiming_normal(shape: tuple[int, ...], fan_in: int, gain: float = math.sqrt(2)) -> np.ndarray:
    """Draws of N(0, gain^2 / fan_in), float32, which preserve the variance [He et al. 2015].

    gain: sqrt(2) before a ReLU, which halves the second moment; 1 where none follows.
    Raises ValueError within `at_most`, before any are made.
    """
    left = _room.get() - math.prod(shape)
    if left < 0:
        raise ValueError(f"weights of shape {shape} are more than there are")
    _room.set(left)
    draws = random.stream("init").standard_normal(shape) * (gain / math.sqrt(fan_in))
    return draws.astype(np.float32)
