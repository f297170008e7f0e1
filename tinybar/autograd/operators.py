"""The arithmetic of Tensor, in one table: which operator is which primitive."""

from __future__ import annotations

from .elementwise import add, divide, multiply, negative, power, subtract
from .linear import matmul
from .shaping import getitem
from .tensor import Tensor


def _raw(operand):
    """The array of a Tensor; anything else as it is, so that numbers compare in a's precision."""
    return operand.data if isinstance(operand, Tensor) else operand


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
    "__pow__": lambda a, p: power(a, p),
    "__neg__": lambda a: negative(a),
    "__getitem__": lambda a, index: getitem(a, index),
    # Comparisons have no derivative: they give a Tensor of booleans, outside the tape.
    "__lt__": lambda a, b: Tensor(a.data < _raw(b)),
    "__le__": lambda a, b: Tensor(a.data <= _raw(b)),
    "__gt__": lambda a, b: Tensor(a.data > _raw(b)),
    "__ge__": lambda a, b: Tensor(a.data >= _raw(b)),
    "__eq__": lambda a, b: Tensor(a.data == _raw(b)),
    "__ne__": lambda a, b: Tensor(a.data != _raw(b)),
    "__hash__": object.__hash__,
}

for _name, _function in _OPERATORS.items():
    setattr(Tensor, _name, _function)
