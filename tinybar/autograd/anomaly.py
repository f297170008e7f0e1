"""Where a NaN or an infinity comes from: `detect_anomaly`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..runtime.arrays import Array, array_module

is_detecting: bool = False


class AnomalyError(ArithmeticError):
    """A primitive gave a value that is not finite; the text says where.

    primitive: its name.   stage: "forward" or "pullback".
    """

    primitive: str
    stage: str

    def __init__(self, primitive: str, stage: str, text: str):
        super().__init__(f"{primitive}, {stage}: {text}")
        self.primitive, self.stage = primitive, stage


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within this block the first primitive that gives NaN or infinity raises AnomalyError.

    Checked are the output of every primitive and, where it was computed in the block, every
    gradient that its pullback gives. The error names the primitive, the shapes of its inputs, and
    which of them were not finite already. In all threads; on a GPU every check is a wait.
    """
    global is_detecting
    before, is_detecting = is_detecting, True
    try:
        yield
    finally:
        is_detecting = before


def check_output(name: str, inputs: dict[str, Any], y: Array) -> None:
    """Raise AnomalyError unless y, the output of the primitive, is finite.   inputs: by name."""
    if not is_finite(y):
        raise AnomalyError(name, "forward", f"{_what(y)} in the output, from {described(inputs)}")


def checked(name: str, inputs: dict[str, Any], pullback: Callable[..., Any]) -> Callable[..., Any]:
    """The pullback, raising AnomalyError where it gives a gradient that is not finite."""
    names, where = list(inputs), described(inputs)

    def check(gy):
        gradients = pullback(gy)
        for input_name, gx in zip(names, gradients, strict=False):
            if gx is not None and not is_finite(gx):
                text = f"{_what(gx)} in the gradient of {input_name!r}; inputs {where}"
                raise AnomalyError(name, "pullback", f"{text}; {described({'gy': gy})}")
        return gradients

    return check


def described(arrays: dict[str, Any]) -> str:
    """Names and shapes, and what in them is not finite."""
    return ", ".join(
        f"{name} {a.shape}" + ("" if is_finite(a) else f" (holds {_what(a)} already)")
        for name, a in arrays.items()
        if a is not None
    )


def is_finite(array: Array) -> bool:
    """Whether all entries are."""
    return array.dtype.kind != "f" or bool(array_module(array).isfinite(array).all())


def _what(array) -> str:
    return "NaN" if bool(array_module(array).isnan(array).any()) else "infinity"
