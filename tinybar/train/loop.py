"""The epochs of a stage: minibatches, steps, sums and records."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import pruning
from ..autograd import Tensor
from ..data import batches
from ..nn import Adam, Module
from ..pruning import Cost
from ..pruning.methods import Penalty
from ..runtime import random
from ..runtime.arrays import to_device
from .config import Config
from .data_loss import DataLoss, Minibatch
from .images import Images
from .step import train_step

GATE_TRAVEL = 32.0  # how far log alpha can move in a stage: a step of Adam is about its rate


class TrainingError(RuntimeError):
    """The run cannot continue, or did not reach what was asked of it."""


@dataclass
class Stage:
    """One stretch of training.

    learning_rate: of an epoch, for all parameters but the gates'. penalty: of an iteration.
    """

    name: str
    epochs: int
    net: Module
    optimizer: Adam
    data_loss: DataLoss
    learning_rate: Callable[[int], float]
    penalty: Callable[[int], Penalty] | None


def optimizer_of(net: Module, config: Config, iterations: int) -> Adam:
    """Adam with weight decay; gates have a learning rate of their own, and no decay.

    The gates' learning rate lets log alpha move by GATE_TRAVEL in so many iterations.
    """
    gates = [parameter for gate in pruning.gates_of(net) for parameter in gate.parameters()]
    if not gates:
        return Adam(net.parameters(), config.lr, config.weight_decay)
    gate_lr = config.gate_lr or max(config.lr, GATE_TRAVEL / iterations)
    identities = {id(parameter) for parameter in gates}
    others = [parameter for parameter in net.parameters() if id(parameter) not in identities]
    groups = [
        {"params": others, "weight_decay": config.weight_decay},
        {"params": gates, "lr": gate_lr},
    ]
    return Adam(groups, config.lr)


def reduced_for_last(slow: int, epochs: int, lr: float) -> Callable[[int], float]:
    """The learning rate of an epoch: lr, and lr / 10 for the last `slow` of `epochs`."""
    return lambda epoch: lr if epoch < epochs - slow else lr / 10


def batches_per_epoch(images: Images, batch_size: int) -> int:
    """The number of minibatches: those that are full, and at least one."""
    return max(1, len(images.train) // batch_size)


def train_epoch(stage: Stage, images: Images, batch_size: int, cost: Cost, epoch: int) -> dict:
    """Train for one epoch; its record is a line of metrics.jsonl."""
    start = time.perf_counter()
    lr = stage.optimizer.groups[0]["lr"] = stage.learning_rate(epoch)
    stage.net.train()
    sums, penalty = Sums(), None
    iteration = epoch * batches_per_epoch(images, batch_size)
    for batch in minibatches(images, batch_size):
        logits, loss_data, penalty = train_step(
            stage.net, stage.optimizer, stage.data_loss, stage.penalty, batch, iteration
        )
        sums.add(batch, logits, loss_data, penalty)
        iteration += 1
    means = sums.means()
    _check_finite(means["loss"], stage, epoch, lr)
    return {
        "stage": stage.name,
        "epoch": epoch + 1,
        "lr": lr,
        **means,
        "cost": cost.exact(stage.net),
        "volume": pruning.volume(stage.net),
        "b": penalty.b if penalty else None,
        "f": means["f"] if penalty else None,
        **images.epoch_accuracies(stage.net),
        "seconds": time.perf_counter() - start,
        "images_per_second": sums.images / (time.perf_counter() - start),
    }


def minibatches(images: Images, batch_size: int):
    """One epoch of training minibatches, on the device, in random order."""
    labels = to_device(images.dataset.train.labels)
    everything, augmentation = np.arange(len(labels)), images.dataset.augmentation
    stream = random.stream("data")
    for x, index in batches(images.train, everything, batch_size, stream, augmentation):
        index = to_device(index)
        yield Minibatch(Tensor(to_device(x)), labels[index], index)


class Sums:
    """Sums over the images of an epoch. They stay on the device: nothing waits for them."""

    def __init__(self):
        self.images, self.loss_data, self.loss_penalty, self.f, self.correct = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, batch: Minibatch, logits, loss_data, penalty: Penalty | None) -> None:
        """Add what a step computed."""
        n = len(batch.index)
        self.images += n
        self.loss_data = self.loss_data + loss_data.data * n
        self.correct = self.correct + (logits.data.argmax(axis=1) == batch.labels).sum()
        if penalty is not None:
            self.f += penalty.f * n
            if penalty.loss is not None:
                self.loss_penalty = self.loss_penalty + penalty.loss.data * n

    def means(self) -> dict[str, float]:
        """The means over the images. On a GPU this is where the host waits."""
        loss_data, loss_penalty, f, correct = (
            float(value) / self.images
            for value in (self.loss_data, self.loss_penalty, self.f, self.correct)
        )
        return {
            "loss": loss_data + loss_penalty,
            "loss_data": loss_data,
            "loss_penalty": loss_penalty,
            "f": f,
            "accuracy_train": correct,
        }


def _check_finite(loss: float, stage: Stage, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} in epoch {epoch + 1} of stage {stage.name!r}: "
            f"try a lower --lr than {lr:g}"
        )
