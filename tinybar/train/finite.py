"""NaN and infinity, told at the step that makes them, by name.

On the CPU each step is looked at before the weights change: the losses, and sums of squares of the
running statistics and of the gradients of small parameters. Such a sum is not finite if one of its
terms is not. What is not finite on its way back shows there, for every path has its batch norms;
what one large gradient alone makes, by an overflow of its own sum, shows as a weight at the next
step. A parameter that is not finite makes the loss so; where closed channels are skipped, small
parameters are looked at, too. All the others are looked at before a checkpoint is written. Only if
something is not finite the minibatch is computed once more, to find the first layer.

On a GPU to look would be to wait. There `loop.Sums` count the steps until the loss is not finite,
on the device; they are read at the end of an epoch, and before a checkpoint is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..nn import Adam, Gate, Module
from ..nn.module import Parameter
from ..nn.skipping import SkippingBlock
from ..runtime.arrays import array_module, to_numpy
from .data_loss import Minibatch
from .errors import DivergenceError
from .step import Step

NOTHING = np.zeros(0, np.float32)
COMPUTING = ("forward", "relu", "sample")  # the methods of modules that a forward pass calls


class Watch:
    """Looks at the steps of a network. teacher: of the data loss, or None."""

    def __init__(self, net: Module, optimizer: Adam, teacher: Module | None = None):
        self.net: Module = net
        self.optimizer: Adam = optimizer
        self.teacher: Module | None = teacher
        self.small: list[Parameter] = [p for p in net.parameters() if p.ndim == 1]
        self.unread: Any = (
            self.small if any(isinstance(m, SkippingBlock) for m in net.modules()) else []
        )
        self.buffers: list[Any] = [array for _, array in net.named_buffers()]

    def check(self, batch: Minibatch, where: str, step: Step) -> None:
        """Raise DivergenceError if it is not finite. where: stage, epoch and iteration, in words.

        To be called before the weights change. On a GPU it does nothing.
        """
        if array_module(step.loss_data.data) is not np or math.isfinite(self._sum(step)):
            return
        for what, advice in self._faults(step, batch):  # the first is where it arose
            losses = ", ".join(f"{name} {value:.4g}" for name, value in _losses(step))
            raise DivergenceError(f"{what} {where} ({losses}): {advice}")

    def _sum(self, step: Step) -> float:
        arrays = [p.grad for p in self.small if p.grad is not None] + self.buffers
        small = np.concatenate([NOTHING, *arrays, *(p.data for p in self.unread)])
        return sum(value for _, value in _losses(step)) + float(small.dot(small))

    def _faults(self, step: Step, batch: Minibatch) -> Iterator[tuple[str, str]]:
        """(what is not finite, advice), in the order of computation.

        None where only squares are not, of values that are no gradients.
        """
        images = ~np.isfinite(batch.x.data).all(axis=(1, 2, 3))
        if images.any():
            image = int(to_numpy(batch.index)[images.argmax()])
            yield f"training image {image} is not finite", "look at the data"
        losses, lower = dict(_losses(step)), advice(self.net, self.optimizer)
        state = self.net.named_arrays().items()
        is_forward = not math.isfinite(sum(losses.values())) or not_finite(state)
        if is_forward and (layer := first_layer(self.net, batch.x)):
            yield layer, advice(self.net, self.optimizer, layer)
        if not math.isfinite(losses.get("penalty", 0.0)):
            yield "the penalty is not finite", "try a lower --lambda"
        if not math.isfinite(losses["data loss"]):
            if self.teacher is not None and (layer := first_layer(self.teacher, batch.x)):
                yield f"of the teacher, {layer}", "look at the teacher's weights"
            yield "the data loss is not finite", lower
        for name, p in reversed([*self.net.named_parameters()]):  # the gradients go backward
            if p.grad is not None and not math.isfinite(float(_square(p.grad))):
                what = f"the gradient of {name} reaches {abs(p.grad).max():.3g}"
                yield what, advice(self.net, self.optimizer, name)
        if what := not_finite(state):
            yield what, advice(self.net, self.optimizer, what)


def check_state(net: Module, optimizer: Adam, where: str) -> None:
    """Raise DivergenceError unless all that a checkpoint holds of both is finite."""
    names = {id(p): name for name, p in net.named_parameters()}
    parameters = [p for group in optimizer.groups for p in group["params"]]
    moments = (
        (f"Adam's moment of {names[id(p)]}", array)
        for arrays in (optimizer.m, optimizer.v)
        for p, array in zip(parameters, arrays, strict=True)
    )
    if what := not_finite([*net.named_arrays().items(), *moments]):
        raise DivergenceError(f"{what} {where}: {advice(net, optimizer, what)}")


def advice(net: Module, optimizer: Adam, what: str = "") -> str:
    """Which learning rate to lower: that of the gates, if `what` names one of them.

    Before the first step of a stage no learning rate can be at fault.
    """
    if not any(bool(m.any()) for m in optimizer.m):
        return "look at the weights that training began with"
    gates = [name for name, module in net.named_modules() if isinstance(module, Gate)]
    is_gate = any(f"{name}." in what for name in gates)
    flag, group = ("--gate-lr", -1) if is_gate else ("--lr", 0)
    return f"try a lower {flag} than {optimizer.groups[group]['lr']:g}"


def not_finite(arrays: Iterable[tuple[str, object]]) -> str:
    """The name of the first array that is not finite, and that it is not; "" if all are."""
    arrays = list(arrays)
    if math.isfinite(float(sum(_square(array) for _, array in arrays))):  # on a GPU, one wait
        return ""
    bad = (name for name, a in arrays if not array_module(a).isfinite(a).all())
    return next((f"{name} is not finite" for name in bad), "")  # none where only a square is not


def first_layer(net: Module, x: Tensor) -> str:
    """The first output of a module that is not finite, or the parameter of it that is not; or "".

    x: images (B, H, W, C). Gates draw new noise; running statistics move once more. The gates of a
    network are drawn first, all together (`nn/gate_vector.py`).
    """
    gates = ((name, module) for name, module in net.named_modules() if isinstance(module, Gate))
    parameters = (named for name, gate in gates for named in gate.named_parameters(f"{name}."))
    if what := not_finite((name, parameter.data) for name, parameter in parameters):
        return what
    found: list[tuple[str, Module]] = []
    wrapped = [
        (module, method, vars(module).get(method), name)
        for name, module in net.named_modules()
        for method in COMPUTING
        if hasattr(module, method)
    ]
    for module, method, _, name in wrapped:
        setattr(module, method, _traced(getattr(module, method), name, module, found))
    try:
        with no_grad():
            net(x)
    finally:
        for module, method, own, _ in wrapped:
            delattr(module, method)
            if own is not None:
                setattr(module, method, own)
    if not found:
        return ""
    name, module = found[0]
    of_module = module.named_parameters(f"{name}." if name else "")
    return not_finite((path, p.data) for path, p in of_module) or (
        f"the output of {name or 'the network'} is not finite"
    )


def _traced(method, name: str, module: Module, found: list[Any]):
    """The method, putting (name, module) into `found` if what it returns is not finite."""

    def call(*inputs):
        y = method(*inputs)
        outputs = [
            part.data for part in (y if isinstance(y, tuple) else (y,)) if isinstance(part, Tensor)
        ]
        if not_finite([("", array) for array in outputs]):
            found.append((name, module))
        return y

    return call


def _losses(step: Step) -> Iterator[tuple[str, float]]:
    yield "data loss", float(step.loss_data.data)
    if step.penalty is not None and step.penalty.loss is not None:
        yield "penalty", float(step.penalty.loss.data)


def _square(array):
    flat = array.ravel("K")  # in the order of memory: no copy
    return flat.dot(flat)
