"""One step of training: Eq. 3, alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd import Tensor
from ..nn import Adam, Module
from ..pruning.methods import Penalty
from .data_loss import DataLoss, Minibatch
from .parallel import add_gradients


class Step(NamedTuple):
    """What a step computed. logits: (B, K). loss_data: L_D, before the update."""

    logits: Tensor
    loss_data: Tensor
    penalty: Penalty | None


def gradients(
    net: Module,
    optimizer: Adam,
    data_loss: DataLoss,
    penalty: Callable[[int], Penalty] | None,
    batch: Minibatch,
    iteration: int,
) -> Step:
    """L = L_D + lambda L_S   (Eq. 3), and its gradients; for BAR the second term is L_BAR."""
    logits = net(batch.x)
    loss = loss_data = data_loss(logits, batch)
    term = None if penalty is None else penalty(iteration)
    if term is not None and term.loss is not None:
        loss = loss_data + term.loss
    optimizer.zero_grad()
    loss.backward(batch.weight)
    return Step(logits, loss_data, term)


Gradients = Callable[..., Step]  # `gradients`, and what may stand for it (captured.py)


def train_step(
    net: Module,
    optimizer: Adam,
    *inputs: Any,
    check: Callable[[Step], None] = lambda step: None,
    gradients: Gradients = gradients,
) -> Step:
    """Minimise L by one step.   inputs: those of `gradients` behind the first two.

    check: is called before the weights change, and may raise.
    """
    step = gradients(net, optimizer, *inputs)
    add_gradients(net.parameters())  # where several processes train together
    check(step)
    optimizer.step()
    return step
