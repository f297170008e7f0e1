"""The tape: which primitive made which array, and the way back through them.

Each result of a primitive that needs a gradient has a `Node`. A node knows the nodes of the
primitive's inputs and the pullback, the linear map from the gradient of the output to the
gradients of the inputs. Nodes refer to nodes, never to Tensors: an activation stays in memory
only where a pullback captured it.
"""

from __future__ import annotations

import heapq
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

from . import changes

if TYPE_CHECKING:
    from ..runtime.arrays import Array

Pullback: TypeAlias = "Callable[[Array], Sequence[Array | None]]"

_recording: ContextVar[bool] = ContextVar("recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
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
    """One step of a computation: `pullback(gy)` gives one gradient for each parent.

    A parent is None where no gradient is needed. The pullback may return gy itself, views of it, or
    new arrays, each for one parent; nobody writes into them.
    A leaf has no pullback: its gradient goes to `receive`, a method of its Tensor. The method is
    held weakly, for a Tensor that is gone needs no gradient.
    """

    __slots__ = ("name", "order", "parents", "pullback", "receive")

    name: str
    order: int
    parents: tuple[Node | None, ...]
    pullback: Pullback | None
    receive: weakref.WeakMethod[Callable[[Array], None]] | None

    def __init__(
        self,
        name: str,
        parents: tuple[Node | None, ...] = (),
        pullback: Pullback | None = None,
        receive: Callable[[Array], None] | None = None,
    ):
        self.name, self.parents, self.pullback = name, parents, pullback
        self.receive = None if receive is None else weakref.WeakMethod(receive)
        self.order = next(changes.clock)  # larger than that of every parent

    def __lt__(self, other: Node) -> bool:
        return self.order > other.order  # heapq pops the latest node first

    def pull(self, gy: Array) -> tuple[tuple[Node | None, ...], Sequence[Array | None]]:
        """The parents and the gradient of each. Frees the node.

        Raises RuntimeError if that was done before, or where an array that the pullback captured
        was changed in place since; TypeError for another number of gradients than of inputs.
        """
        pullback, parents = self.pullback, self.parents
        if pullback is None:
            raise RuntimeError(
                f"the tape of {self.name!r} was already freed by an earlier backward(); "
                "compute the result again"
            )
        self.pullback, self.parents = None, ()
        if self.order < changes.latest and changes.holds_changed(pullback, self.order):
            raise RuntimeError(
                f"an array that the gradient of {self.name!r} needs was changed in place since (by "
                "Adam.step, load_state_dict, ...): call backward() before, or compute it again"
            )
        gradients = pullback(gy)
        if len(gradients) != len(parents):
            found, needed = len(gradients), len(parents)
            raise TypeError(f"the pullback of {self.name!r} gave {found} gradients of {needed}")
        return parents, gradients


def backward(root: Node, gradient: Array) -> None:
    """Send `gradient`, d(loss)/d(root), back to every leaf that root was computed from.

    Nodes are visited from the latest to the earliest. A node is made after its parents, so its
    gradient is complete when its turn comes. A heap instead of recursion: depth is no limit. Every
    node is freed as it is passed, so a second pass raises RuntimeError.
    """
    arrived, heap = {root: gradient}, [root]
    while heap:
        node = heapq.heappop(heap)
        gy = arrived.pop(node)
        if node.receive is not None:
            receive = node.receive()
            if receive is not None:
                receive(gy)
            continue
        (parents, gradients), gx = node.pull(gy), None
        for parent, gx in zip(parents, gradients, strict=True):
            if parent is None:
                continue
            if gx is None:
                raise TypeError(
                    f"the pullback of {node.name!r} gave no gradient where one is needed"
                )
            if gx is gy:
                gx = gy.view()  # so that an array without a base is nobody else's
            if parent in arrived:
                # Not in place: another parent may hold the same array. To know whether one does
                # and to add in place saved 0.2 % of a training step, and no peak memory.
                arrived[parent] = arrived[parent] + gx
            else:
                arrived[parent] = gx
                heapq.heappush(heap, parent)
        del gy, gradients, gx  # what they hold is freed before the next step
