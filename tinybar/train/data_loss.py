"""L_D, the data loss of a stage (Section 3.5): from the labels, or with the teacher's help."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .. import autograd as ag
from .. import nn
from ..autograd import Tensor
from ..data import in_order
from ..nn import Module
from ..runtime.arrays import array_module, to_device


class Minibatch(NamedTuple):
    """x: (B, H, W, C) images, labels: (B,), index: (B,) which of the training images they are."""

    x: Tensor
    labels: object
    index: object


DataLoss = Callable[[Tensor, Minibatch], Tensor]  # logits (B, K), minibatch -> L_D


def cross_entropy(logits: Tensor, batch: Minibatch) -> Tensor:
    """The data loss of a network that learns from the labels alone."""
    return ag.cross_entropy(logits, batch.labels)


class Distillation:
    """The data loss of a network that learns from the teacher's logits, too.

    images: (N, H, W, C), all training images, where every epoch sees them as they are. The teacher
    then answers once and for all. None where they are augmented: it answers for every minibatch.
    """

    def __init__(self, teacher: Module, images, alpha: float, temperature: float):
        self.teacher, self.alpha, self.temperature = teacher, alpha, temperature
        self.answers = None if images is None else answers(teacher, images)

    def __call__(self, logits: Tensor, batch: Minibatch) -> Tensor:
        if self.answers is None:
            targets = nn.predict(self.teacher, batch.x)
        else:
            targets = self.answers[batch.index]
        return nn.distillation_loss(logits, targets, batch.labels, self.alpha, self.temperature)


def answers(model: Module, images, batch_size: int = 256):
    """The model's logits (N, K) for all images (N, H, W, C), in evaluation mode."""
    index = array_module(images).arange(len(images))
    parts = in_order(images, index, batch_size)
    logits = [nn.predict(model, Tensor(to_device(x))).data for x, _ in parts]
    return array_module(logits[0]).concatenate(logits)
