"""Tensor: an array, its gradient, and its place on the tape.

Its arithmetic (`+ - * / ** @ []`, comparisons) is attached by `operators.py`, from the primitives.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..runtime.arrays import Array, array_module, to_device, to_numpy, xp
from .changes import note_change
from .tape import Node, backward

Operand: TypeAlias = Any  # of a primitive: a Tensor, an array, a number or a list; inside, an array


class Tensor:
    """An array that remembers how it was computed.

    data: anything NumPy makes an array of, or an array of the current device. It is not copied, and
    the dtype is kept; gradients need a floating dtype.
    .data: the array (NumPy or CuPy).   .grad: an array of the same shape and dtype, or None.
    .requires_grad: whether operations on this tensor are recorded.
    A copy (`copy.deepcopy`, `pickle`) is a leaf with a gradient of its own; only leaves have one.
    Raises TypeError for a non-numeric or masked `data`, and for requires_grad with an integer
    dtype.
    """

    __slots__ = ("__weakref__", "_node", "_requires_grad", "data", "grad")
    __array_ufunc__ = None  # array + Tensor is Tensor.__radd__, and np.exp(Tensor) a TypeError:
    __array_priority__ = 1000  # neither leaves the tape unnoticed. (CuPy looks at the priority.)

    def __init__(self, data: Operand, requires_grad: bool = False):
        self.data: Array = as_array(data)
        self.grad: Array | None = None
        self._node: Node | None = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind != "f":
            raise TypeError(
                f"only floating-point tensors have gradients, this one is {self.data.dtype}"
            )
        self._requires_grad = value

    # --- what the array is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    def numpy(self) -> np.ndarray:
        """The values on the host. On the CPU this is `.data` itself, not a copy."""
        return to_numpy(self.data)

    def item(self) -> int | float | bool:
        """The only element, as a Python number. ValueError if there is not exactly one."""
        if self.size != 1:
            raise ValueError(
                f"item() needs exactly one element, this tensor has shape {self.shape}"
            )
        return self.data.item()

    def overwrite(self, index: Any, values: Any) -> None:
        """data[index] = values, in place. A tape that needs the former values will say so."""
        self.data[index] = to_device(values)
        note_change(self.data)

    # --- arithmetic, for type checkers; operators.py attaches it

    if TYPE_CHECKING:

        def __add__(self, b: Operand) -> Tensor: ...
        def __radd__(self, b: Operand) -> Tensor: ...
        def __sub__(self, b: Operand) -> Tensor: ...
        def __rsub__(self, b: Operand) -> Tensor: ...
        def __mul__(self, b: Operand) -> Tensor: ...
        def __rmul__(self, b: Operand) -> Tensor: ...
        def __truediv__(self, b: Operand) -> Tensor: ...
        def __rtruediv__(self, b: Operand) -> Tensor: ...
        def __matmul__(self, b: Operand) -> Tensor: ...
        def __rmatmul__(self, b: Operand) -> Tensor: ...
        def __pow__(self, p: float) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __lt__(self, b: Operand) -> Tensor: ...
        def __le__(self, b: Operand) -> Tensor: ...
        def __gt__(self, b: Operand) -> Tensor: ...
        def __ge__(self, b: Operand) -> Tensor: ...
        def __eq__(self, b: Operand) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, b: Operand) -> Tensor: ...  # type: ignore[override]
        def __hash__(self) -> int: ...

    else:  # a checker would take array + Tensor for an array

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            if self.requires_grad:
                raise TypeError(
                    "a Tensor that requires a gradient would leave the tape as a NumPy array: "
                    "use tinybar.autograd (ag.mean for np.mean, ag.where for np.where, "
                    "ag.concatenate for a list of Tensors), or detach() it"
                )
            return np.array(to_numpy(self.data), dtype=dtype, copy=copy)

    # --- how it meets NumPy and Python

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self)))  # TypeError here for a scalar

    def __contains__(self, value: Operand) -> bool:
        return bool((self == value).data.any())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())  # type: ignore[arg-type]  # TypeError for a float

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        threshold = np.get_printoptions()["threshold"]
        shape = f"shape={self.shape}, " if self.size > threshold else ""  # for "..." hides it
        values = np.array2string(self.numpy(), separator=", ", prefix="Tensor(")
        return f"Tensor({values}, {shape}dtype={self.dtype}{self._grad_told()})"

    def _grad_told(self) -> str:
        return ", requires_grad=True" if self.requires_grad else ""

    def _repr_html_(self) -> str:
        """For a notebook: what it is, and its entries below."""
        import html  # here: `import tinybar` is light

        title = f"Tensor, shape {self.shape}, {self.dtype}{self._grad_told()}"
        values = html.escape(np.array2string(self.numpy(), separator=", "))
        return f"<div>{html.escape(title)}</div><pre>{values}</pre>"

    def __getstate__(self) -> tuple[Array, Array | None, bool]:
        if self._node is not None and self._node.receive is None:
            raise TypeError(
                f"only leaves of a tape are copied, not the result of {self._node.name!r}: "
                "detach() it"
            )
        return self.data, self.grad, self.requires_grad

    def __setstate__(self, state: tuple[Array, Array | None, bool]) -> None:
        self.data, self.grad, self.requires_grad = state
        self._node = None

    # --- the tape

    def detach(self) -> Tensor:
        """The same array, outside the tape."""
        return Tensor(self.data)

    def backward(self, grad: Operand = None) -> None:
        """Add d(self)/d(leaf), pulled back from `grad`, to `.grad` of every leaf behind self.

        grad: array of self's shape; may be left out for a single element (then it is 1).
        Raises RuntimeError when nothing was recorded, the tape was already freed, or an array
        that a gradient needs was changed in place since.
        """
        if not self.requires_grad:
            raise RuntimeError("backward() on a tensor that does not require gradients")
        if grad is None:
            if self.size != 1:
                raise ValueError(
                    f"backward() without a gradient needs a single element, not shape {self.shape}"
                )
            grad = array_module(self.data).ones_like(self.data)
        else:
            grad = as_array(grad).astype(self.dtype, copy=False)
            if grad.shape != self.shape:
                raise ValueError(f"gradient of shape {grad.shape} for a tensor of {self.shape}")
        backward(self.node(), grad.view())

    def node(self) -> Node:
        """This tensor's place on the tape; a leaf gets one when it is first used."""
        if self._node is None:
            self._node = Node("leaf", receive=self._receive)
        return self._node

    def _receive(self, gradient: Array) -> None:
        """Add to .grad, always in an array of its own: nothing else changes when it does."""
        module = array_module(self.data)
        copied = module.array if gradient.base is not None else module.asarray
        gradient = copied(gradient, self.dtype)
        self.grad = gradient if self.grad is None else module.asarray(self.grad + gradient)


def as_array(data: Operand) -> Array:
    """The array behind `data`: of a Tensor, of an array, or made from numbers and lists.

    A subclass of ndarray is taken for its entries alone. Raises TypeError for what holds no real
    numbers, and for a masked array, whose masked entries must not count.
    """
    if isinstance(data, Tensor):
        return data.data
    if isinstance(data, np.ndarray):
        if type(data) is not np.ndarray:
            if hasattr(data, "mask"):
                raise TypeError("a tensor has no mask: use ag.where, or masked_array.filled(value)")
            data = np.asarray(data)
    elif array_module(data) is np:
        data = xp().asarray(data)
    if data.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds real numbers, not {data.dtype}")
    return data
