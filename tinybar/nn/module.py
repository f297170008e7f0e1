"""Module: a tree of layers that finds its own parameters and buffers.

An attribute that is a Parameter is learnt; one that is a plain array is a buffer (state that is
saved but not learnt, such as running statistics); Modules and lists of Modules are children.
Names are the dotted paths to them: "blocks.0.conv1.weight".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from ..autograd import Tensor
from ..autograd.changes import note_change
from ..autograd.tensor import Operand, as_array
from ..runtime.arrays import to_device, to_numpy, xp

P = ParamSpec("P")
Result = TypeVar("Result", covariant=True)


class Forward(Protocol[P, Result]):
    """What has a `forward`: a call takes the same arguments and returns the same."""

    def forward(self, *inputs: P.args, **options: P.kwargs) -> Result:
        """What the module computes."""


class Parameter(Tensor):
    """A Tensor that is learnt: a copy of `data`, on the device that is current when it is made."""

    __slots__ = ()

    def __init__(self, data: Operand):
        super().__init__(xp().array(to_device(as_array(data))), requires_grad=True)


class Module:
    """Base class of layers and networks; a subclass defines `forward`."""

    training: bool = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes."""
        raise TypeError(f"{type(self).__name__} defines no forward()")

    def __call__(self: Forward[P, Result], *inputs: P.args, **options: P.kwargs) -> Result:
        return self.forward(*inputs, **options)

    # --- what is inside

    def children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, by name; the entries of a list are called name.0, ..."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                for k, entry in enumerate(value):
                    if isinstance(entry, Module):
                        yield f"{name}.{k}", entry

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, called "", and all below it by their names, parents first."""
        yield prefix.removesuffix("."), self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}{name}.")

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """Each parameter once, also one that has several names."""
        return list({id(parameter): parameter for _, parameter in self.named_parameters()}.values())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        for name, value in vars(self).items():
            if _is_array(value):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_buffers(f"{prefix}{name}.")

    # --- how it looks

    def __repr__(self) -> str:
        """A tree of what is inside: shapes of parameters, and how many entries they have."""
        return "\n".join(self._lines(""))

    def _lines(self, name: str, indent: str = "") -> Iterator[str]:
        yield f"{indent}{self._line(name)}"
        for child_name, child in self.children():
            yield from child._lines(child_name, indent + "  ")

    def _line(self, name: str) -> str:
        entries = sum(parameter.size for parameter in self.parameters())
        own = [f"{n} {p.shape}" for n, p in vars(self).items() if isinstance(p, Parameter)]
        shapes = f" {', '.join(own)}" if own else ""
        return f"{name}{': ' if name else ''}{type(self).__name__}{shapes}, {entries:,} parameters"

    def _repr_html_(self, name: str = "") -> str:
        """The tree for a notebook, whose branches open."""
        import html  # here, as in the other rooms: `import tinybar` is light

        line, children = html.escape(self._line(name)), list(self.children())
        if not children:
            return f"<div>{line}</div>"
        inside = "".join(child._repr_html_(child_name) for child_name, child in children)
        is_open = "" if name else " open"
        branch = f"<summary>{line}</summary><div style='margin-left: 1.5em'>{inside}</div>"
        return f"<details{is_open}>{branch}</details>"

    # --- modes and dtype

    def train(self, mode: bool = True) -> Self:
        """Training mode: batch statistics, sampled gates. Returns the module itself."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode: running statistics, gates at their mean noise. Returns the module."""
        return self.train(False)

    def astype(self, dtype: Any) -> Self:
        """Convert all parameters and floating-point buffers, in this module itself.

        Raises TypeError for a dtype that is not floating.
        """
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"a module is converted to a floating dtype, not {np.dtype(dtype)}")
        for module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    value.data, value.grad = value.data.astype(dtype), None
                elif _is_array(value) and value.dtype.kind == "f":
                    setattr(module, name, value.astype(dtype))
        return self

    # --- saving and loading

    def named_arrays(self) -> dict[str, np.ndarray]:
        """All parameters and buffers, by name: the arrays themselves, no copies."""
        arrays = {name: parameter.data for name, parameter in self.named_parameters()}
        return arrays | dict(self.named_buffers())

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of all parameters and buffers, on the host, by name."""
        return {name: np.array(to_numpy(array)) for name, array in self.named_arrays().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy `state` into the parameters and buffers; nothing is changed if something is wrong.

        Raises ValueError for a missing or unknown name, a wrong shape, integers for floating-point
        numbers, a value that is not finite, a negative variance, and two values for one parameter
        that has two names.
        """
        own = self.named_arrays()
        wrong = {"missing": own.keys() - state.keys(), "unknown": state.keys() - own.keys()}
        texts = [
            f"{what} {', '.join(sorted(names)[:3])}{' ...' * (len(names) > 3)}"
            for what, names in wrong.items()
            if names
        ]
        if texts:
            raise ValueError(f"state does not fit this module: {'; '.join(texts)}")
        values: dict[str, np.ndarray] = {}
        names_of: dict[int, str] = {}
        for name, array in own.items():
            if np.shape(state[name]) != array.shape:
                raise ValueError(
                    f"{name} has shape {array.shape}, the state holds {np.shape(state[name])}"
                )
            given = to_numpy(state[name])
            if array.dtype.kind == "f" != given.dtype.kind:
                raise ValueError(f"{name} has dtype {array.dtype}, the state holds {given.dtype}")
            with np.errstate(over="ignore"):
                values[name] = given.astype(array.dtype)
            if not np.isfinite(values[name]).all():
                raise ValueError(f"{name} holds values that are not finite in {array.dtype}")
            if name.endswith("running_var") and (values[name] < 0).any():
                raise ValueError(f"{name} holds a negative variance: {values[name].min()}")
            first = names_of.setdefault(id(array), name)
            if not np.array_equal(values[first], values[name]):
                raise ValueError(f"{first} and {name} are one array, the state holds two")
        for name, array in own.items():
            array[...] = to_device(values[name])
            note_change(array)


def _is_array(value) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, Tensor)
