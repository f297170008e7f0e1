"""All gates of a network as one vector: a few operations for all of them, at every step.

A network of 28 layers has 37 gates of a few hundred channels. Each alone costs as many operations
as all together; on a GPU these are launches, on a CPU they are Python's time. What they compute is
the same, to the last bit: they draw the same noise in the same order.
"""

from __future__ import annotations

import copy
import operator
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .. import autograd as ag
from ..autograd import Tensor, no_grad
from ..autograd.shaping import end_to_end
from ..runtime.arrays import Array, to_device, to_numpy
from .gates import Gate
from .module import Parameter

Drawn = dict[Gate | None, Any]  # z of each gate; where there is none, None
NO_GATES: Drawn = {None: None}


class Joined(Tensor):
    """Parameters one behind the other, as one leaf: its gradient is theirs, part by part.

    The parameters keep arrays of their own. `read` makes the copy that is computed with.
    """

    __slots__ = ("parts", "slices")

    parts: list[Parameter]
    slices: list[slice]

    def __init__(self, parts: list[Parameter], slices: list[slice]):
        self.parts, self.slices = parts, slices
        super().__init__(_joined(parts), requires_grad=True)

    def read(self) -> None:
        """Take the parameters as they are now."""
        self.data = _joined(self.parts)

    def _receive(self, gradient: Array) -> None:
        if gradient.base is not None:  # it may be somebody else's, too
            gradient = gradient.copy()
        for part, where in zip(self.parts, self.slices, strict=True):
            own = gradient[where]
            part.grad = own if part.grad is None else part.grad + own


class GateVector:
    """The gates of a network, and one gate that stands for all: `whole`, of the same class.

    gates: in the order in which they draw noise.
    """

    def __init__(self, gates: list[Gate]):
        self.gates = gates
        self.sizes: list[int] = [gate.parameters()[0].shape[0] for gate in gates]
        self.slices: list[slice] = [
            slice(a, b) for a, b in pairwise(accumulate(self.sizes, initial=0))
        ]
        self._whole = copy.copy(gates[0])
        self._whole.kept = tuple(
            where for gate, where in zip(gates, self.slices, strict=True) if gate.keep_one
        )

    @staticmethod
    def of(gates: list[Gate]) -> GateVector | None:
        """The vector of these gates, or None where they cannot be one."""
        kinds = {type(gate) for gate in gates}
        is_one = len(kinds) == 1 and vars(kinds.pop()).get("joins", False)
        return GateVector(gates) if is_one else None

    def __reduce__(self) -> tuple[Any, ...]:
        return GateVector, (self.gates,)

    @property
    def whole(self) -> Gate:
        """The gate of all channels, with the parameters as they are now."""
        whole, first = self._whole, self.gates[0]
        whole.training = first.training
        for name, _ in first.named_parameters():
            parts = [getattr(gate, name) for gate in self.gates]
            joined = getattr(whole, name)
            if isinstance(joined, Joined) and all(map(operator.is_, joined.parts, parts)):
                joined.read()
            elif all(isinstance(part, Parameter) for part in parts):
                setattr(whole, name, Joined(parts, self.slices))
            else:  # somebody has put what was computed in the place of a parameter
                setattr(whole, name, ag.concatenate(parts))
        return whole

    def sample(self) -> Drawn:
        """z of each gate, drawn at once."""
        return self.by_gate(self.whole.sample())

    def alive(self) -> dict[Gate | None, np.ndarray]:
        """(C,) booleans of each gate, on the host: z > 0 at the mean noise. One read."""
        with no_grad():
            alive = to_numpy(self.whole.mean().data) > 0
        return {gate: alive[where] for gate, where in zip(self.gates, self.slices, strict=True)}

    def by_channel(self, numbers: dict[Any, float]) -> Tensor:
        """(C,) the number of its gate at every channel."""
        dtype = self.gates[0].parameters()[0].dtype
        of_gates = np.array([numbers[gate] for gate in self.gates], dtype)
        return Tensor(to_device(of_gates.repeat(self.sizes)))

    def by_gate(self, values: Tensor) -> Drawn:
        """The part of each gate of values (C,)."""
        return dict(zip(self.gates, ag.split(values, self.sizes), strict=True))


def drawn(gates: list[Gate], vector: GateVector | None = None) -> Drawn:
    """z of each gate. vector: of these gates, if they can be one."""
    if vector is not None:
        return NO_GATES | vector.sample()
    return NO_GATES | {gate: gate.sample() for gate in gates}


def _joined(parts: list[Parameter]):
    return end_to_end([part.data for part in parts])
