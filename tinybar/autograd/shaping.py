"""The same numbers in another arrangement: reshape, transpose, concatenate, pad, indexing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module
from .primitive import primitive
from .reduction import normalise_axes
from .tape import Node, is_recording
from .tensor import Operand, Tensor


@primitive(inputs=1)
def reshape(x: Operand, shape: int | Sequence[int]):
    """y = the elements of x, in order, in `shape` (one entry may be -1).   gx = gy in x's shape."""
    before = x.shape
    return x.reshape(shape), lambda gy: gy.reshape(before)


@primitive(inputs=1)
def transpose(x: Operand, axes: Sequence[int] | None = None):
    """y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...].   gx: gy by the inverse permutation.

    axes: a permutation; None reverses all axes.
    """
    axes = tuple(reversed(range(x.ndim))) if axes is None else normalise_axes(axes, x.ndim)
    inverse = tuple(int(i) for i in np.argsort(axes))
    return x.transpose(axes), lambda gy: gy.transpose(inverse)


@primitive(inputs=None)
def _concatenate(*xs: Operand, axis: int):
    """y = xs one behind the other along `axis`.   gx_k: the k-th part of gy."""
    xp = array_module(*xs)
    ends = np.cumsum([x.shape[axis] for x in xs])[:-1].tolist()
    return xp.concatenate(xs, axis), tuple(
        lambda gy, k=k: xp.split(gy, ends, axis)[k] for k in range(len(xs))
    )


def concatenate(xs: Sequence[Operand], axis: int = -1) -> Tensor:
    """The tensors `xs` one behind the other along `axis`; their other extents must agree."""
    xs = list(xs)
    if not xs:
        raise ValueError("concatenate needs at least one tensor")
    return _concatenate(*xs, axis=axis)


def split(x: Tensor, sizes: list[int]) -> list[Tensor]:
    """x (n,) in parts of these sizes, which are views.   gx: the gradients of the parts in a row.

    Not a primitive, which has one output: here the gradients of all parts go into one array, at
    once. Raises ValueError unless the sizes add up to n.
    """
    if x.shape != (sum(sizes),):
        raise ValueError(f"split: parts of sizes {sizes} of a tensor of shape {x.shape}")
    parts = [Tensor(x.data[a:b]) for a, b in pairwise(accumulate(sizes, initial=0))]
    if not (is_recording() and x.requires_grad):
        return parts
    xp, dtype = array_module(x.data), x.dtype

    def pullback(gradients):
        parts = [
            gradients[k] if k in gradients else xp.zeros(n, dtype) for k, n in enumerate(sizes)
        ]
        return (end_to_end(parts),)

    whole = Node("split", (x.node(),), pullback)
    for k, part in enumerate(parts):
        part._node = Node("split", (whole,), lambda gy, k=k: (_Parts({k: gy}),))  # type: ignore
        part.requires_grad = True
    return parts


@accelerated
def end_to_end(arrays):
    """The arrays (n_k,) of a list one behind the other."""
    return array_module(*arrays).concatenate(arrays)


class _Parts(dict):
    """Gradients by the number of the part; the sum of two has those of both."""

    def __add__(self, other: _Parts) -> _Parts:
        return _Parts({**self, **other})


@primitive(inputs=1)
def pad(x: Operand, pad_width: Any):
    """y = x with zeros around it: pad_width[a] = (before, after) along axis a.   gx = gy inside.

    pad_width: a pair per axis, as numpy.pad takes it. Raises ValueError for a negative width.
    """
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    if any(before < 0 or after < 0 for before, after in widths):
        raise ValueError(f"pad_width {pad_width} has a negative entry")
    inside = tuple(
        slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)
    )
    return array_module(x).pad(x, widths), lambda gy: gy[inside]


@primitive(inputs=1)
def getitem(x: Operand, index: Any):
    """y = x[index].   gx = 0 but for gx[index] += gy (an element read twice collects both)."""
    xp, shape = array_module(x), x.shape

    def pullback(gy):
        gx = xp.zeros(shape, gy.dtype)
        if _reads_once(index):
            gx[index] = gy
        else:
            xp.add.at(gx, index, gy)
        return gx

    return x[index], pullback


def _reads_once(index) -> bool:
    """Whether indexing can read no element twice: integers, slices, ..., None, boolean masks."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, (int, np.integer, slice))
        or getattr(getattr(part, "dtype", None), "kind", None) == "b"
        for part in parts
    )
