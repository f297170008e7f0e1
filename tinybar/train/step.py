"""One step of training: Eq. 3, alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..autograd import Tensor
from ..nn import Adam, Module
from ..pruning.methods import Penalty
from .data_loss import DataLoss, Minibatch


class Step(NamedTuple):
    """What a step computed. logits: (B, K). loss_data: L_D, before the update."""

    logits: Tensor
    loss_data: Tensor
    penalty: Penalty | None


def train_step(
    net: Module,
    optimizer: Adam,
    data_loss: DataLoss,
    penalty: Callable[[int], Penalty] | None,
    batch: Minibatch,
    iteration: int,
    check: Callable[[Step], None] = lambda step: None,
) -> Step:
    """Minimise L = L_D + lambda L_S   (Eq. 3) by one step; for BAR the second term is L_BAR.

    check: is called before the weights change, and may raise.
    """
    logits = net(batch.x)
    loss = loss_data = data_loss(logits, batch)
    term = None if penalty is None else penalty(iteration)
    if term is not None and term.loss is not None:
        loss = loss_data + term.loss
    optimizer.zero_grad()
    loss.backward()
    step = Step(logits, loss_data, term)
    check(step)
    optimizer.step()
    return step
