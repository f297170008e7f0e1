"""Element by element: arithmetic with broadcasting, and functions of one variable.

In every formula `gy` is dL/dy and `gx` is dL/dx. Binary primitives broadcast; the engine sums their
gradients over what was repeated.
"""

from __future__ import annotations

from numbers import Real

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module, zero_where
from .primitive import primitive
from .tensor import Operand, Tensor, as_array


@primitive(inputs=2)
def add(a: Operand, b: Operand):
    """y = a + b.   ga = gy;  gb = gy."""
    return a + b, (lambda gy: gy, lambda gy: gy)


@primitive(inputs=2)
def subtract(a: Operand, b: Operand):
    """y = a - b.   ga = gy;  gb = -gy."""
    return a - b, (lambda gy: gy, lambda gy: -gy)


@primitive(inputs=2)
def multiply(a: Operand, b: Operand):
    """y = a b.   ga = gy b;  gb = gy a."""
    return a * b, (lambda gy: gy * b, lambda gy: gy * a)


@primitive(inputs=2, floating=True)
def divide(a: Operand, b: Operand):
    """y = a / b.   ga = gy / b;  gb = -gy / b y."""
    y = a / b
    return y, (lambda gy: gy / b, lambda gy: -gy / b * y)


@primitive(inputs=1)
def negative(x: Operand):
    """y = -x.   gx = -gy."""
    return -x, lambda gy: -gy


@primitive(inputs=1)
def power(x: Operand, exponent: float):
    """y = x^p for a constant p.   gx = gy p x^(p-1), and 0 everywhere for p = 0.

    Raises TypeError for a p that is not a number.
    """
    if not isinstance(exponent, Real):
        raise TypeError(f"x ** p needs a number p (else write exp(p * log(x))), got {exponent!r}")
    p = float(exponent)  # a plain number has no dtype: x keeps its precision
    p = int(p) if p.is_integer() else p  # an exact power also where x < 0
    if p == 0:
        return x**0, lambda gy: array_module(gy).zeros_like(gy)
    return x**p, lambda gy: gy * p * x ** (p - 1)


@primitive(inputs=1, floating=True)
def exp(x: Operand):
    """y = e^x.   gx = gy y."""
    y = array_module(x).exp(x)
    return y, lambda gy: gy * y


@primitive(inputs=1, floating=True)
def log(x: Operand):
    """y = ln x.   gx = gy / x."""
    return array_module(x).log(x), lambda gy: gy / x


@primitive(inputs=1, floating=True)
def sqrt(x: Operand):
    """y = sqrt(x).   gx = gy / (2 y)."""
    y = array_module(x).sqrt(x)
    return y, lambda gy: gy / (2 * y)


@primitive(inputs=1, floating=True)
def sigmoid(x: Operand):
    """y = 1 / (1 + e^-x).   gx = gy y (1 - y)."""
    y = logistic(x)
    return y, lambda gy: gy * y * (1 - y)


@accelerated
def logistic(x):
    """1 / (1 + e^-x). With t = e^-|x|: 1 / (1 + t) for x >= 0, t / (1 + t) below. No overflow."""
    xp = array_module(x)
    t = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, t) / (1 + t)


@primitive(inputs=1)
def relu(x: Operand):
    """y = max(x, 0).   gx = 0 where x <= 0 (also at the kink x = 0), else gy.

    NaN stays NaN, and passes its gradient on.
    """
    y = array_module(x).maximum(x, 0)
    return y, lambda gy: zero_where(y <= 0, gy)  # y, not x: the next layer keeps it anyway


@primitive(inputs=1)
def clip(x: Operand, lo: float, hi: float):
    """y = min(max(x, lo), hi).   gx = gy where lo <= x <= hi, else 0.

    lo, hi: numbers. Raises ValueError unless lo <= hi.
    """
    if not lo <= hi:
        raise ValueError(f"clip needs lo <= hi, got lo={lo}, hi={hi}")
    lo, hi = float(lo), float(hi)  # plain numbers: x keeps its precision
    y = array_module(x).clip(x, lo, hi)
    return y, lambda gy: zero_where(~((x >= lo) & (x <= hi)), gy)


@primitive(inputs=2)
def maximum(a: Operand, b: Operand):
    """y = max(a, b).   ga = gy where a > b, gb = gy where b > a, half each where a = b; else 0.

    NaN where a or b is; then both get gy.
    """
    xp = array_module(a, b)
    less, more = a < b, a > b
    equal = a == b

    def to(loser):
        return lambda gy: xp.where(loser, 0, xp.where(equal, gy * 0.5, gy))

    return xp.maximum(a, b), (to(less), to(more))


@primitive(inputs=2)
def _select(a: Operand, b: Operand, condition: Operand):
    """y = a where condition, else b.   ga = gy where condition, else 0; gb = gy elsewhere."""
    return array_module(a, b).where(condition, a, b), (
        lambda gy: zero_where(~condition, gy),
        lambda gy: zero_where(condition, gy),
    )


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where `condition` (booleans, not differentiable) holds, else b; all three broadcast."""
    return _select(a, b, as_array(condition).astype(bool, copy=False))
