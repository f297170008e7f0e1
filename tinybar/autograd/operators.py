"""The arithmetic of Tensor, in one table: which operator is which primitive."""

from __future__ import annotations

from .elementwise import add, divide, multiply, negative, power, subtract
from .linear import matmul
from .shaping import getitem
from .tensor import Tensor, as_array


def _power(x: Tensor, exponent):
    if isinstance(exponent, Tensor):
        raise TypeError("x ** p needs a constant p; write exp(p * log(x)) for a tensor p")
    return power(x, exponent)


def _getitem(x: Tensor, index):
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(part.data if isinstance(part, Tensor) else part for part in parts)
    return getitem(x, parts if isinstance(index, tuple) else parts[0])


_OPERATORS = {
    "__add__": lambda a, b: add(a, b),
    "__radd__": lambda a, b: add(b, a),
    "__sub__": lambda a, b: subtract(a, b),
    "__rsub__": lambda a, b: subtract(b, a),
    "__mul__": lambda a, b: multiply(a, b),
    "__rmul__": lambda a, b: multiply(b, a),
    "__truediv__": lambda a, b: divide(a, b),
    "__rtruediv__": lambda a, b: divide(b, a),
    "__matmul__": lambda a, b: matmul(a, b),
    "__rmatmul__": lambda a, b: matmul(b, a),
    "__pow__": _power,
    "__neg__": lambda a: negative(a),
    "__getitem__": _getitem,
    # Comparisons have no derivative: they give a Tensor of booleans, outside the tape.
    "__lt__": lambda a, b: Tensor(a.data < as_array(b)),
    "__le__": lambda a, b: Tensor(a.data <= as_array(b)),
    "__gt__": lambda a, b: Tensor(a.data > as_array(b)),
    "__ge__": lambda a, b: Tensor(a.data >= as_array(b)),
    "__eq__": lambda a, b: Tensor(a.data == as_array(b)),
    "__ne__": lambda a, b: Tensor(a.data != as_array(b)),
    "__hash__": object.__hash__,
}

for _name, _function in _OPERATORS.items():
    setattr(Tensor, _name, _function)
