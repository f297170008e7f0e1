"""The gradient checker: analytic gradients against central differences, in float64.

For f: R^n -> R^m and a direction v, the slope of <gy, f> along v is

    <gy, (f(x + eps v) - f(x - eps v)) / (2 eps)> = <gx, v> + O(eps^2)

Small problems are compared entry by entry (the full Jacobian), large ones along random directions
with random cotangents gy; an all-ones gy would let through wrong pullbacks of softmax and batch
norm. The entries of a direction have random signs and sizes between 1/2 and 1: a wrong gradient
gx + d shows as <d, v>, so an error in one entry appears in every direction, at half its size or
more, and errors in several entries cancel only by chance, in all directions next to never. The
slope itself is of the order of |gx| (Euclidean), and errors are measured against that.

A pullback is linear in gy, up to rounding: one that rounds to float32 is not, and is found so.

The caller keeps away from kinks: no entry of an input may be within eps of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..runtime.arrays import array_module, to_numpy
from .tape import no_grad
from .tensor import Operand, Tensor, as_array

FULL_JACOBIAN = 2048  # compare entry by entry up to this many entries of the Jacobian
DIRECTIONS = 8  # random (direction, cotangent) pairs beyond
LINEAR = 1e-10  # of the largest entry: the rounding of a pullback in float64 is far below
REPEATED = 1e-9  # of the largest value: fn may round otherwise when it is called again


class GradientError(AssertionError):
    """An analytic gradient does not agree with its finite difference; the text says where.

    relative: the disagreement as `gradcheck` measures it; inf where that is not the complaint.
    """

    def __init__(self, text: str, relative: float = math.inf):
        super().__init__(text)
        self.relative = relative


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Operand | Sequence[Operand],
    *,
    eps: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
) -> float:
    """Compare the gradients of `fn` with central differences at `inputs`.

    fn: function of Tensors, giving a Tensor of any shape. inputs: a sequence of arrays or Tensors
    (or one of them); floating-point ones are checked, in float64, the others passed as they are.
    eps: half the distance of the two points of a difference. Accepts where
    |analytic - numeric| <= atol + rtol scale, with scale = |numeric| for an entry of the Jacobian
    and |gx| for the slope along a random direction. seed: of the directions.
    Returns the largest |analytic - numeric| / (scale + atol/rtol). Raises GradientError naming
    input, index, analytic and numeric value, and the slopes on both sides where there is a kink;
    also when a gradient has the wrong shape or is not finite, a pullback rounds to float32, fn is
    random or not finite, or changed an input. ValueError for inputs that are not finite.

    Not found are a gradient below atol; an error below rtol that is linear in gy, as of a factor
    that was rounded to float32 on the way forward (6e-8); and, where the Jacobian has more than
    2048 entries, an error in one entry of less than 2 rtol |gx|: 0.06 % of one of 100,000 equal
    entries. Scale a function whose gradients are small; check a smooth one at a smaller rtol.
    """
    if not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    points = [as_array(value) for value in inputs]
    checked = [i for i, point in enumerate(points) if point.dtype.kind == "f"]
    if not checked:
        raise ValueError("gradcheck needs at least one floating-point input")
    points = [p.astype(np.float64 if i in checked else p.dtype) for i, p in enumerate(points)]
    for i in checked:
        if not array_module(points[i]).isfinite(points[i]).all():
            raise ValueError(
                f"gradcheck: input {i} holds NaN or infinity, where nothing has a slope"
            )
    check = _Check(fn, points, checked, eps, rtol, atol, np.random.default_rng(seed))
    check.function()
    return max(check.input(i) for i in checked)


class _Check:
    def __init__(self, fn, points, checked, eps, rtol, atol, rng):
        self.fn, self.points, self.checked = fn, points, checked
        self.eps, self.rtol, self.atol, self.rng = eps, rtol, atol, rng

    def function(self) -> None:
        """fn is a function: finite, and the same when it is called again."""
        once, again = (self.value(0, self.points[0]) for _ in range(2))
        if not np.isfinite(once).all():
            raise GradientError("fn gives NaN or infinity at the inputs")
        if abs(once - again).max(initial=0) > REPEATED * abs(once).max(initial=0):
            raise GradientError("fn gives other values when it is called again: is it random?")

    def input(self, i: int) -> float:
        """The largest relative error of the gradient of input i."""
        outputs = self.value(i, self.points[i]).shape
        entries = math.prod(outputs) * self.points[i].size
        compare = self.entry_by_entry if entries <= FULL_JACOBIAN else self.along_directions
        worst = max(compare(i, outputs), default=0.0)
        self.linear(i, outputs)
        return worst

    def linear(self, i: int, outputs: tuple[int, ...]) -> None:
        """The pullback of a + b is the sum of those of a and b, to float64's rounding."""
        a, b = self.rng.standard_normal((2, *outputs))
        ga, gb, gab = (self.gradient(i, gy) for gy in (a, b, a + b))
        error, scale = abs(gab - ga - gb).max(initial=0), (abs(ga) + abs(gb)).max(initial=0)
        if error > LINEAR * scale + 1e-3 * self.atol:
            raise GradientError(
                f"input {i}: its pullback is not linear in the gradient of the output, by "
                f"{error / scale:.1g} of it: does it round to float32?",
                error / scale,
            )

    def entry_by_entry(self, i: int, outputs: tuple[int, ...]):
        """The relative error of every entry of the Jacobian."""
        gradients = [self.gradient(i, basis).reshape(-1) for basis in _basis(outputs)]
        for k, direction in enumerate(_basis(self.points[i].shape)):
            slopes = self.difference(i, direction).reshape(-1)
            for j, slope in enumerate(slopes):
                analytic, numeric = float(gradients[j][k]), float(slope)
                error, scale = abs(analytic - numeric), abs(numeric)
                if not self.accepts(error, scale):
                    at = f", output index {_index(j, outputs)}"
                    gy = _unit(j, outputs)
                    self.fail(i, k, gy, analytic, self.relative(error, scale), at)
                yield self.relative(error, scale)

    def along_directions(self, i: int, outputs: tuple[int, ...]):
        """The relative errors of slopes along random directions, under random cotangents."""
        shape = self.points[i].shape
        for _ in range(DIRECTIONS):
            gy = self.rng.standard_normal(outputs)
            gx = self.gradient(i, gy)
            v = self.rng.choice([-1.0, 1.0], size=shape) * self.rng.uniform(0.5, 1.0, size=shape)
            error, scale = abs(self.disagreement(i, gx, gy, v)), float(np.sqrt((gx * gx).sum()))
            if not self.accepts(error, scale):
                k = self.locate(i, gx, gy, v)
                analytic, relative = float(gx.reshape(-1)[k]), self.relative(error, scale)
                self.fail(i, k, gy, analytic, relative, ", under a random cotangent")
            yield self.relative(error, scale)

    def disagreement(self, i: int, gx, gy, v) -> float:
        """<gx, v> minus the slope of <gy, f> along v."""
        return float((gx * v).sum() - (self.difference(i, v) * gy).sum())

    def locate(self, i: int, gx, gy, v) -> int:
        """The flat index of an entry that carries the disagreement along v, found by halving."""
        indices = np.arange(v.size)
        while indices.size > 1:
            halves = np.array_split(indices, 2)
            kept = [np.where(np.isin(np.arange(v.size), half), v.reshape(-1), 0) for half in halves]
            errors = [abs(self.disagreement(i, gx, gy, part.reshape(v.shape))) for part in kept]
            indices = halves[0] if not errors[0] <= errors[1] else halves[1]  # nan counts as large
        return int(indices[0])

    def accepts(self, error: float, scale: float) -> bool:
        return error <= self.atol + self.rtol * scale  # False for nan

    def relative(self, error: float, scale: float) -> float:
        """The error as a fraction of the scale: accepted is what is at most rtol."""
        of = scale + (self.atol / self.rtol if self.rtol else 0.0)
        return error / of if of else (math.inf if error else 0.0)

    def fail(self, i: int, k: int, gy, analytic: float, relative: float, where: str):
        left, right = self.sides(i, k, gy, self.eps)
        numeric, gap, kink = (left + right) / 2, abs(right - left), ""
        if gap > self.atol + 1e-3 * (abs(left) + abs(right)):
            closer = np.subtract(*self.sides(i, k, gy, self.eps / 10))
            if not 0.02 < abs(closer) / gap < 0.5:  # of a smooth function it is a tenth
                kink = f"; the slopes are {left:.6g} below and {right:.6g} above: a kink?"
        raise GradientError(
            f"input {i}, index {_index(k, self.points[i].shape)}{where}: analytic {analytic:.12g}, "
            f"numeric {numeric:.12g}, difference {abs(analytic - numeric):.3g}; accepted are "
            f"atol {self.atol:g} + rtol {self.rtol:g} of the scale{kink}",
            relative,
        )

    def sides(self, i: int, k: int, gy, eps: float) -> tuple[float, float]:
        """The slopes of <gy, f> below and above entry k of input i."""
        step = array_module(self.points[i]).asarray(eps * _unit(k, self.points[i].shape))
        below, here, above = (self.value(i, self.points[i] + sign * step) for sign in (-1, 0, 1))
        return float(((here - below) * gy).sum() / eps), float(((above - here) * gy).sum() / eps)

    def gradient(self, i: int, gy: np.ndarray) -> np.ndarray:
        """The analytic gradient of input i for the cotangent gy, on the host."""
        tensors = [Tensor(point.copy(), k in self.checked) for k, point in enumerate(self.points)]
        out = self.fn(*tensors)
        if not out.requires_grad:
            raise GradientError("the result does not depend on any of the inputs")
        out.backward(array_module(out.data).asarray(gy))
        self.unchanged(tensors, self.points)
        grad, point = tensors[i].grad, self.points[i]
        if grad is None:
            return np.zeros(point.shape)
        if grad.shape != point.shape or grad.dtype != point.dtype:
            raise GradientError(
                f"input {i} of shape {point.shape}, {point.dtype} has a gradient of shape "
                f"{grad.shape}, {grad.dtype}"
            )
        return to_numpy(grad)

    def unchanged(self, tensors: list[Tensor], points: list[Any]) -> None:
        """fn has left all its inputs as they were."""
        for k, (tensor, point) in enumerate(zip(tensors, points, strict=True)):
            if not (tensor.data == point).all():
                raise GradientError(f"input {k} was modified by fn")

    def difference(self, i: int, direction: np.ndarray) -> np.ndarray:
        """(f(x + eps v) - f(x - eps v)) / (2 eps), on the host."""
        step = array_module(self.points[i]).asarray(self.eps * direction)
        above = self.value(i, self.points[i] + step)
        below = self.value(i, self.points[i] - step)
        return (above - below) / (2 * self.eps)

    def value(self, i: int, point) -> np.ndarray:
        """fn at the inputs, with `point` in place of input i; on the host."""
        points = [point if k == i else p for k, p in enumerate(self.points)]
        tensors = [Tensor(p.copy()) for p in points]
        with no_grad():
            out = self.fn(*tensors)
        if not isinstance(out, Tensor):
            raise TypeError(f"gradcheck needs an fn that gives a Tensor, not {type(out).__name__}")
        self.unchanged(tensors, points)
        value = to_numpy(out.data)
        if value.dtype != np.float64:
            raise GradientError(f"float64 inputs gave {value.dtype}: fn loses precision")
        return value


def _unit(k: int, shape: tuple[int, ...]) -> np.ndarray:
    """The k-th unit vector of R^shape."""
    unit = np.zeros(shape)
    unit.reshape(-1)[k] = 1.0
    return unit


def _basis(shape: tuple[int, ...]):
    """The unit vectors of R^shape, one after another."""
    return (_unit(k, shape) for k in range(math.prod(shape)))


def _index(k: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of the k-th entry of an array of this shape."""
    return tuple(int(n) for n in np.unravel_index(k, shape))
