"""L_D, the data loss (Section 3.5): cross-entropy with the labels, or distillation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import autograd as ag
from .. import nn
from ..autograd import Tensor
from ..data import in_order
from ..nn import Module
from ..runtime.arrays import Array, array_module, to_device


class Minibatch(NamedTuple):
    """x: (B, H, W, C) images, labels: (B,), index: (B,) their places among the training images.

    weight: of its loss, a mean, in that of the minibatch of which this is one rank's part; an array
    without axes, or None where it is all of it.
    """

    x: Tensor
    labels: Any
    index: Any  # type: ignore[assignment]  # not the method of a tuple
    weight: Any = None


DataLoss = Callable[[Tensor, Minibatch], Tensor]  # logits (B, K), minibatch -> L_D


def cross_entropy(logits: Tensor, batch: Minibatch) -> Tensor:
    """The data loss without a teacher."""
    return ag.cross_entropy(logits, batch.labels)


class Distillation:
    """The data loss with the teacher's logits.

    images: (N, H, W, C), all training images, if no augmentation changes them: the teacher's logits
    are then computed once and cached. None if it does: they are computed for every minibatch.
    """

    def __init__(self, teacher: Module, images: Any, alpha: float, temperature: float):
        self.teacher: Module = teacher
        self.alpha: float = alpha
        self.temperature: float = temperature
        self.cached: Array | None = None if images is None else logits_of(teacher, images)

    def __call__(self, logits: Tensor, batch: Minibatch) -> Tensor:
        if self.cached is None:
            targets = nn.predict(self.teacher, batch.x)
        else:
            targets = self.cached[batch.index]
        return nn.distillation_loss(logits, targets, batch.labels, self.alpha, self.temperature)


def logits_of(model: Module, images: Any, batch_size: int = 256) -> Array:
    """The logits (N, K) of a model in evaluation mode for all images (N, H, W, C)."""
    index = array_module(images).arange(len(images))
    parts = in_order(images, index, batch_size)
    logits = [nn.predict(model, Tensor(to_device(x))).data for x, _ in parts]
    return array_module(logits[0]).concatenate(logits)
