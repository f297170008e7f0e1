"""One step and one state on all ranks. A process that is alone is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..autograd import Tensor
from ..nn import Adam, Module
from ..runtime import ranks
from ..runtime.arrays import array_module

BUCKET = 25 << 20  # bytes that are added at once: fewer calls for small gradients, bounded copies


def add_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradient of each parameter by the sum over all ranks."""
    if ranks.size() == 1:
        return
    for bucket in buckets([p for p in parameters if p.grad is not None]):
        gradients: list[Any] = [p.grad for p in bucket]
        flat = array_module(gradients[0]).concatenate([g.reshape(-1) for g in gradients])
        ranks.add(flat)
        start = 0
        for p in bucket:
            p.grad = flat[start : start + p.size].reshape(p.shape)
            start += p.size


def buckets(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """The parameters in groups of at most BUCKET bytes and one dtype; a large one is a group."""
    group: list[Tensor] = []
    held = 0
    for p in parameters:
        if group and (held + p.data.nbytes > BUCKET or p.dtype != group[0].dtype):
            yield group
            group, held = [], 0
        group.append(p)
        held += p.data.nbytes
    if group:
        yield group


def as_first(*states: Module | Adam) -> None:
    """Give each the state that it has on rank 0.

    Ranks compute the same from the same sums. But exp and log differ in the last bit between
    processors of different kinds, and so weights would drift apart.
    """
    if ranks.size() == 1:
        return
    for holder in states:
        state = holder.state_dict()
        for array in state.values():
            ranks.broadcast(array)
        holder.load_state_dict(state)
