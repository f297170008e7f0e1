"""The gradient checker: analytic gradients against central differences, in float64.

For f: R^n -> R^m and a direction v, the slope of <gy, f> along v is

    <gy, (f(x + eps v) - f(x - eps v)) / (2 eps)> = <gx, v> + O(eps^2)

Small problems are compared entry by entry (the full Jacobian), large ones along random directions
with random cotangents gy; an all-ones gy would let through wrong pullbacks of softmax and batch
norm. The caller keeps away from kinks: no entry of an input may be within eps of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import backend
from .tape import no_grad
from .tensor import Tensor, as_array

FULL_JACOBIAN = 2048  # compare entry by entry up to this many entries of the Jacobian
DIRECTIONS = 8  # random (direction, cotangent) pairs beyond


class GradientError(AssertionError):
    """An analytic gradient does not agree with its finite difference; the text says where."""


@dataclass(frozen=True)
class InputError:
    """The worst disagreement found for one input."""

    name: str
    absolute: float
    relative: float


@dataclass(frozen=True)
class GradientReport:
    """What `gradcheck` measured, an entry for each differentiable input."""

    errors: tuple[InputError, ...]

    @property
    def relative(self) -> float:
        return max((error.relative for error in self.errors), default=0.0)

    @property
    def absolute(self) -> float:
        return max((error.absolute for error in self.errors), default=0.0)


def gradcheck(fn, inputs, *, eps=1e-5, rtol=1e-6, atol=1e-8, seed=0) -> GradientReport:
    """Compare the gradients of `fn` with central differences at `inputs`.

    fn: function of Tensors, giving a Tensor of any shape. inputs: a sequence of arrays or Tensors
    (or one of them); floating-point ones are checked, in float64, the others passed as they are.
    eps: half the distance of the two points of a difference. Accepts where
    |analytic - numeric| <= atol + rtol |numeric|.
    Returns the errors per input. Raises GradientError naming input, index, analytic and numeric
    value; also when a gradient has the wrong shape, is not finite, or an input was modified.
    """
    if isinstance(inputs, Tensor) or not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    points = [_float64(as_array(value)) for value in inputs]
    checked = [i for i, point in enumerate(points) if point.dtype.kind == "f"]
    if not checked:
        raise ValueError("gradcheck needs at least one floating-point input")
    check = _Check(fn, points, checked, eps, rtol, atol, np.random.default_rng(seed))
    return GradientReport(tuple(check.input(i) for i in checked))


def _float64(array):
    """A copy in float64 (integers stay what they are)."""
    return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()


class _Check:
    def __init__(self, fn, points, checked, eps, rtol, atol, rng):
        self.fn, self.points, self.checked = fn, points, checked
        self.eps, self.rtol, self.atol, self.rng = eps, rtol, atol, rng

    def input(self, i: int) -> InputError:
        """Check the gradient of input i."""
        outputs = self.value(i, self.points[i]).size
        entries = outputs * self.points[i].size
        pairs = self.full(i) if entries <= FULL_JACOBIAN else self.directional(i, outputs)
        absolute = relative = 0.0
        for place, analytic, numeric in pairs:
            error = abs(analytic - numeric)
            if not error <= self.atol + self.rtol * abs(numeric):  # also true for nan
                raise GradientError(
                    f"input {i}, {place}: analytic {analytic:.12g}, numeric {numeric:.12g}, "
                    f"error {error:.3g} > atol {self.atol:g} + rtol {self.rtol:g} * |numeric|"
                )
            absolute = max(absolute, error)
            if abs(numeric) > self.atol:
                relative = max(relative, error / abs(numeric))
        return InputError(f"input {i}", absolute, relative)

    def full(self, i: int):
        """Every entry of the Jacobian: (place, analytic, numeric)."""
        point = self.points[i]
        shape = self.value(i, point).shape
        jacobian = np.stack(
            [self.gradient(i, basis).reshape(-1) for basis in _basis(shape)] or [np.zeros(0)]
        )
        for k, direction in enumerate(_basis(point.shape)):
            numeric = self.difference(i, direction).reshape(-1)
            at = tuple(int(n) for n in np.unravel_index(k, point.shape))
            for j, slope in enumerate(numeric):
                to = tuple(int(n) for n in np.unravel_index(j, shape))
                yield f"index {at} (output {to})", float(jacobian[j, k]), float(slope)

    def directional(self, i: int, outputs: int):
        """Slopes along random directions under random cotangents: (place, analytic, numeric).

        Directions of unit entries, +-1: every entry of the gradient weighs the same. Slopes are
        compared at the scale of |gx|, their expected size, so that no chance cancellation in one
        of them asks more of the arithmetic than it has.
        """
        shape = self.value(i, self.points[i]).shape
        for trial in range(DIRECTIONS):
            gy = self.rng.standard_normal(shape)
            gx = self.gradient(i, gy)
            v = self.rng.choice([-1.0, 1.0], size=gx.shape)
            v = np.where(gx * v >= 0, v, np.where(self.rng.random(gx.shape) < 0.75, -v, v))
            slope = float((self.difference(i, v) * gy).sum())
            yield f"direction {trial}", float((gx * v).sum()), slope

    def gradient(self, i: int, gy: np.ndarray) -> np.ndarray:
        """The analytic gradient of input i for the cotangent gy, on the host."""
        tensors = [
            Tensor(point, requires_grad=k in self.checked) for k, point in enumerate(self.points)
        ]
        kept = self.points[i].copy()
        out = self.fn(*tensors)
        if not out.requires_grad:
            raise GradientError("the result does not depend on any of the inputs")
        out.backward(backend.array_module(out.data).asarray(gy))
        if not (kept == self.points[i]).all():
            raise GradientError(f"input {i} was modified by fn")
        grad = tensors[i].grad
        if grad is None:
            return np.zeros(self.points[i].shape)
        if grad.shape != self.points[i].shape or grad.dtype != self.points[i].dtype:
            raise GradientError(
                f"input {i} of shape {kept.shape}, {kept.dtype} has a gradient of shape "
                f"{grad.shape}, {grad.dtype}"
            )
        return backend.to_numpy(grad)

    def difference(self, i: int, direction: np.ndarray) -> np.ndarray:
        """(f(x + eps v) - f(x - eps v)) / (2 eps), on the host."""
        step = backend.array_module(self.points[i]).asarray(self.eps * direction)
        above = self.value(i, self.points[i] + step)
        below = self.value(i, self.points[i] - step)
        return (above - below) / (2 * self.eps)

    def value(self, i: int, point) -> np.ndarray:
        """fn at the inputs, with `point` in place of input i; on the host."""
        with no_grad():
            arguments = [Tensor(point if k == i else p.copy()) for k, p in enumerate(self.points)]
            value = backend.to_numpy(self.fn(*arguments).data)
        if value.dtype != np.float64:
            raise GradientError(f"float64 inputs gave {value.dtype}: fn loses precision")
        return value


def _basis(shape: tuple[int, ...]):
    """The unit vectors of R^shape, one after another."""
    for k in range(math.prod(shape)):
        unit = np.zeros(shape)
        unit.reshape(-1)[k] = 1.0
        yield unit
