"""The tape: which primitive made which array, and the way back through them.

Each result of a primitive that needs a gradient has a `Node`. A node knows the nodes of the
primitive's inputs and the pullback, the linear map from the gradient of the output to the
gradients of the inputs. Nodes refer to nodes, never to Tensors: an activation stays in memory
only where a pullback captured it.
"""

from __future__ import annotations

import heapq
import itertools
import weakref
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_clock = itertools.count()


@contextmanager
def no_grad():
    """Within this block primitives compute values only and nothing is recorded."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """False within `no_grad`."""
    return _recording.get()


class Node:
    """One step of a computation: `pullback(gy)` gives one gradient (or None) for each parent.

    The pullback may return gy itself, views, or new arrays; never an array that it keeps.
    A leaf has no pullback; its gradient is handed to `receive`, a method of the leaf's Tensor that
    is held weakly: a Tensor that nobody has any more needs no gradient.
    """

    __slots__ = ("name", "order", "parents", "pullback", "receive")

    def __init__(
        self,
        name: str,
        parents: tuple[Node | None, ...] = (),
        pullback: Callable | None = None,
        receive: Callable | None = None,
    ):
        self.name, self.parents, self.pullback = name, parents, pullback
        self.receive = None if receive is None else weakref.WeakMethod(receive)
        self.order = next(_clock)  # larger than that of every parent

    def __lt__(self, other: Node) -> bool:
        return self.order > other.order  # heapq pops the latest node first


def backward(root: Node, gradient) -> None:
    """Send `gradient`, d(loss)/d(root), back to every leaf that root was computed from.

    Nodes are visited from the latest to the earliest: a node is made after its parents, so all
    that a node will receive has arrived when its turn comes. A heap instead of recursion: depth
    is no limit. Every node is freed as it is passed, so a second pass raises RuntimeError.
    """
    pending = {root: _Gradient(gradient, owned=False)}
    heap = [root]
    while heap:
        node = heapq.heappop(heap)
        arrived = pending.pop(node)
        if node.receive is not None:
            receive = node.receive()
            if receive is not None:
                receive(arrived.array, arrived.owned)
            continue
        if node.pullback is None:
            raise RuntimeError(
                f"the tape of {node.name!r} was already freed by an earlier backward(); "
                "compute the result again"
            )
        pullback, parents = node.pullback, node.parents
        node.pullback, node.parents = None, ()
        gradients, gx = pullback(arrived.array), None
        for parent, gx in zip(parents, gradients, strict=True):
            if parent is None or gx is None:
                continue
            gx = _array(gx)
            if parent in pending:
                pending[parent].add(gx)
            else:
                pending[parent] = _Gradient(gx, owned=_is_fresh(gx, arrived.array, gradients))
                heapq.heappush(heap, parent)
        del arrived, pullback, gradients, gx  # what they hold is freed before the next step


class _Gradient:
    """A gradient under way: a sum of what has arrived, added in place once the sum is ours."""

    __slots__ = ("array", "owned")

    def __init__(self, array, owned: bool):
        self.array, self.owned = array, owned

    def add(self, array) -> None:
        if self.owned:
            self.array += array
        else:
            self.array, self.owned = _array(self.array + array), True


def _array(result):
    """An array also where NumPy makes a scalar, of arrays without axes."""
    return np.asarray(result) if isinstance(result, np.generic) else result


def _is_fresh(gx, gy, gradients) -> bool:
    """Whether nobody else can hold gx: not gy itself, no view, not handed to two parents."""
    return gx is not gy and gx.base is None and sum(gx is other for other in gradients) == 1
