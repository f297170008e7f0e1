"""Primitives: the functions whose derivatives we know, and the registry that lists them all.

A primitive is one function of arrays. It returns its output and, for each differentiable input, a
closure that maps the gradient of the output, gy, to the gradient of that input:

    @primitive(inputs=2)
    def multiply(a, b):
        '''y = a b.   ga = gy b;  gb = gy a.'''
        return a * b, (lambda gy: gy * b, lambda gy: gy * a)

A primitive of one input returns the closure itself. The engine keeps the closures that will be
asked for and drops the others, with all that they captured; and where an input was broadcast, it
sums over what was repeated. Where the gradients share work, as those of a convolution and of batch
norm do, one pullback gives all of them as a tuple. A function with the keyword `needs` receives a
boolean for each input: whether its gradient will be asked for, or may be None.

The inputs are brought to one dtype before, by the rule in `dtypes.py`.

`inputs` counts the leading parameters that are differentiable, and `named` names those behind the
options, which are given by keyword; all others are options (a Tensor given for one stands for its
array). The decorated name is then a function of Tensors that records
itself on the tape; the function of arrays is its attribute `function`. `PRIMITIVES` lists them all.
The gradient audit walks that list, at the inputs that were registered by `problems`; a primitive
without any fails the audit and the tests.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, ParamSpec, TypeAlias

import numpy as np

from ..runtime.arrays import Array
from . import anomaly
from .dtypes import FLOAT64, arrays_of, common_dtype, computed_in, converting, float32_arrays
from .sums import total
from .tape import Node, Pullback, is_recording
from .tensor import Tensor

P = ParamSpec("P")
Problem: TypeAlias = tuple[str, Callable[..., Tensor], Sequence[Any]]
Draw: TypeAlias = "Callable[[np.random.Generator], Iterator[Problem]]"
PRIMITIVES: dict[str, Primitive[...]] = {}


class Primitive(Generic[P]):
    """A differentiable function of arrays, callable with Tensors.

    inputs: how many parameters are differentiable, the leading ones and then those that are
    `named`; None: all positional ones (variadic). floating: whether integers alone become float64.
    alike: how many of the inputs are brought to one dtype; None: all.
    """

    name: str
    function: Callable[..., Any]
    inputs: int | None
    leading: int | None
    named: tuple[str, ...]
    input_names: tuple[str, ...]
    optional: set[str]
    wants_needs: bool
    floating: bool
    alike: int | None
    draw_problems: Draw | None
    __signature__: inspect.Signature

    def __init__(
        self,
        function: Callable[P, Any],
        inputs: int | None,
        named: tuple[str, ...] = (),
        floating: bool = False,
        alike: int | None = None,
    ):
        functools.update_wrapper(self, function)
        signature = inspect.signature(function)
        parameters = signature.parameters
        shown = [parameter for name, parameter in parameters.items() if name != "needs"]
        self.__signature__ = signature.replace(parameters=shown, return_annotation="Tensor")
        self.name = function.__name__
        self.function = function
        self.floating, self.alike = floating, alike
        self.leading, self.named = inputs, named
        self.inputs = None if inputs is None else inputs + len(named)
        self.input_names = (*tuple(parameters)[:inputs], *named) if inputs is not None else ()
        self.optional = {n for n in self.input_names if parameters[n].default is None}
        self.wants_needs = "needs" in parameters
        self.draw_problems = None

    def __call__(self, *args: P.args, **options: P.kwargs) -> Tensor:
        named: dict[str, Any] = options
        operands, others = self._split(args, named)
        given, arrays, dtype = self._in_one_dtype(operands)
        if others or named:
            others = tuple([_untracked(value) for value in others])
            named = {name: _untracked(value) for name, value in named.items()}
        records = is_recording()
        needs = tuple([records and isinstance(t, Tensor) and t.requires_grad for t in operands])
        if self.wants_needs:
            named["needs"] = needs
        leading = arrays
        if self.named:
            leading = arrays[: self.leading]
            named.update(zip(self.named, arrays[self.leading :], strict=True))
        y, closures = self.function(*leading, *others, **named)
        out = Tensor(y if dtype is None else y.astype(dtype, copy=False))
        if anomaly.is_detecting:
            anomaly.check_output(self.name, self._named(arrays), out.data)
        if any(needs):
            pullback = self.pullback(closures, arrays, needs)
            if dtype is not None:
                pullback = converting(pullback, y.dtype, given)
            if anomaly.is_detecting:
                pullback = anomaly.checked(self.name, self._named(arrays), pullback)
            parents = tuple([t.node() if n else None for t, n in zip(operands, needs, strict=True)])
            out._node = Node(self.name, parents, pullback)
            out.requires_grad = True
        return out

    def pullback(self, closures: Any, arrays: list[Any], needs: Sequence[bool]) -> Pullback:
        """The function from gy to the gradients, one for each input; None if it is not needed.

        closures: what `function` returned beside its output.
        """
        if callable(closures) and self.inputs != 1:
            return closures  # one pullback for all inputs
        closures = (closures,) if callable(closures) else closures
        if len(closures) != len(arrays):
            raise TypeError(
                f"{self.name!r} returned {len(closures)} pullbacks for {len(arrays)} inputs"
            )
        kept = [
            (closure, array.shape) if need else None
            for closure, array, need in zip(closures, arrays, needs, strict=True)
        ]
        return lambda gy: [one and unbroadcast(one[0](gy), one[1]) for one in kept]

    def problems(self, draw: Draw) -> Draw:
        """Register where the gradient audit differentiates this primitive.

        draw(rng) yields (text, function of Tensors, its inputs as host arrays in float64), away
        from kinks; the function calls this primitive with some options.
        """
        if self.draw_problems is not None:
            raise ValueError(f"{self.name!r} has its problems already")
        self.draw_problems = draw
        return draw

    def _in_one_dtype(self, operands: list[Any]) -> tuple[list[Any], list[Any], np.dtype | None]:
        """(arrays as given, arrays to compute with, dtype of the result; None: as it comes)."""
        if (arrays := float32_arrays(operands)) is not None:
            return arrays, arrays, None
        given: list[Any] = arrays_of(self.name, operands)
        alike: list[Any] = given[: self.alike]
        dtype = common_dtype(alike)
        if dtype is None and self.floating:
            dtype = FLOAT64
        if dtype is None or (computed := computed_in(dtype, alike)) is alike:
            return given, given, None
        return given, computed + given[len(alike) :], dtype

    def _named(self, arrays: list[Any]) -> dict[str, Any]:
        names = self.input_names or tuple(f"input {k}" for k in range(len(arrays)))
        return dict(zip(names, arrays, strict=True))

    def _split(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[list[Any], tuple[Any, ...]]:
        """The differentiable operands, wherever they were passed, and the other positionals."""
        if self.inputs is None:
            return list(args), ()
        operands = list(args[: self.leading])
        for name in self.input_names[len(operands) :]:
            operands.append(options.pop(name, None))
        for name, operand in zip(self.input_names, operands, strict=True):
            if operand is None and name not in self.optional:
                raise TypeError(f"{self.name} needs an array {name!r}")
        return operands, args[self.leading :]

    def __get__(self, owner: object, kind: type | None = None) -> Primitive[P]:
        """Itself: what has this method is a routine for `help`, which then shows the signature."""
        return self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def primitive(inputs: int | None, **options: Any) -> Callable[[Callable[P, Any]], Primitive[P]]:
    """Register the decorated function of arrays as a primitive.   The arguments: of `Primitive`."""

    def register(function: Callable[P, Any]) -> Primitive[P]:
        if function.__name__ in PRIMITIVES:
            raise ValueError(f"a primitive called {function.__name__!r} exists already")
        made = Primitive(function, inputs, **options)
        PRIMITIVES[made.name] = made
        return made

    return register


def _untracked(option):
    """An option with the arrays of its Tensors; an index may be a tuple with Tensors in it."""
    if isinstance(option, Tensor):
        return option.data
    if type(option) is tuple:
        return tuple(_untracked(part) for part in option)
    return option


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The pullback of broadcasting `shape` to `gradient.shape`: sum over what was repeated."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    pairs = zip(shape, gradient.shape[extra:], strict=False)
    stretched = (extra + axis for axis, (n, repeated) in enumerate(pairs) if n == 1 != repeated)
    summed = total(gradient, (*range(extra), *stretched))
    return summed.reshape(summed.shape[extra:])
