"""The epochs of a stage: minibatches, steps, sums and records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from .. import pruning
from ..autograd import AnomalyError, Tensor
from ..data import Dataset, batches
from ..nn import Adam, Module
from ..pruning import Cost
from ..pruning.methods import Penalty
from ..runtime import random, ranks
from ..runtime.arrays import array_module, to_device
from .config import Config
from .data_loss import DataLoss, Minibatch
from .errors import DivergenceError
from .finite import Watch, advice, check_state
from .images import Images
from .parallel import as_first
from .step import Gradients, gradients, train_step

GATE_TRAVEL = 32.0  # how far log alpha can move in a stage: a step of Adam is about its rate


@dataclass
class Stage:
    """One stretch of training.

    learning_rate: of an epoch, for all parameters but the gates'. penalty: of an iteration.
    gradients: how a step computes them.
    """

    name: str
    epochs: int
    net: Any  # a Module; what counts takes a ResidualNetwork
    optimizer: Adam
    data_loss: DataLoss
    learning_rate: Callable[[int], float]
    penalty: Callable[[int], Penalty] | None
    gradients: Gradients = gradients


def optimizer_of(
    net: Module, config: Config, iterations: int, penalty: Callable[[int], Penalty] | None = None
) -> Adam:
    """Adam with weight decay; gates have a learning rate of their own, and no decay.

    The gates' learning rate lets log alpha move by GATE_TRAVEL in so many iterations. A penalty
    may say otherwise: its `moved` are the parameters, and its `travel` is how far they must move.
    """
    gates = [parameter for gate in pruning.gates_of(net) for parameter in gate.parameters()]
    gates = getattr(penalty, "moved", gates)
    if not gates:
        return Adam(net.parameters(), config.lr, config.weight_decay)
    travel = getattr(penalty, "travel", GATE_TRAVEL)
    gate_lr = config.gate_lr or max(config.lr, travel / iterations)
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


def batches_per_epoch(images: Images | Dataset, batch_size: int) -> int:
    """The number of minibatches: those that are full, and at least one."""
    return max(1, len(images.train) // batch_size)


def train_epoch(
    stage: Stage,
    images: Images,
    batch_size: int,
    progress: Progress,
    after_step: Callable[[Stage, Progress], None],
) -> None:
    """Train on the minibatches of an epoch that are left; call `after_step` after each."""
    stage.optimizer.groups[0]["lr"] = stage.learning_rate(progress.epoch)
    stage.net.train()
    as_first(stage.net, stage.optimizer)
    iteration = progress.epoch * batches_per_epoch(images, batch_size) + progress.done
    watch = Watch(stage.net, stage.optimizer, getattr(stage.data_loss, "teacher", None))
    for batch in minibatches(images, batch_size, progress.done):
        check = partial(watch.check, batch, place(stage, progress))
        try:
            step = train_step(
                stage.net, stage.optimizer, stage.data_loss, stage.penalty, batch, iteration,
                check=check, gradients=stage.gradients,
            )  # fmt: skip
        except AnomalyError as error:
            raise DivergenceError(f"{place(stage, progress)}: {error}") from error
        progress.sums.add(batch, *step)
        progress.done += 1
        iteration += 1
        after_step(stage, progress)


def epoch_record(stage: Stage, images: Images, cost: Cost, progress: Progress) -> dict[str, Any]:
    """The line of metrics.jsonl about an epoch that has been trained."""
    sums = progress.sums.of_all_ranks()
    means = sums.means()
    return {
        "stage": stage.name,
        "epoch": progress.epoch + 1,
        "lr": stage.learning_rate(progress.epoch),
        **means,
        "cost": cost.exact(stage.net),
        "volume": pruning.volume(stage.net),
        "b": sums.b,
        "f": means["f"] if sums.b is not None else None,
        **images.epoch_accuracies(stage.net),
        "seconds": progress.seconds,
        "images_per_second": sums.images / progress.seconds,
    }


def minibatches(images: Images, batch_size: int, first: int) -> Iterator[Minibatch]:
    """The minibatches of an epoch from `first` on, on the device, in random order."""
    labels = to_device(images.dataset.train.labels)
    everything, augmentation = np.arange(len(labels)), images.dataset.augmentation
    stream = random.stream("data")
    minibatches = batches(
        images.train, everything, batch_size, stream, augmentation, first, ranks.part()
    )
    weight = None if ranks.size() == 1 else to_device(np.array(ranks.weight()))
    for x, index in minibatches:
        index = to_device(index)
        yield Minibatch(Tensor(to_device(x)), labels[index], index, weight)


ADDED = "images", "loss_data", "loss_penalty", "f", "correct"  # the sums over images


class Sums:
    """Sums over the images of an epoch. They stay on the device: nothing waits for them.

    b: the budget at the last step, None without a penalty.
    """

    def __init__(self) -> None:
        self.images: int = 0
        self.f: float = 0.0
        self.loss_data: Any = 0.0
        self.loss_penalty: Any = 0.0
        self.correct: Any = 0.0
        self.finite: Any = 0.0  # steps until a loss was not
        self.b: float | None = None

    def add(
        self, batch: Minibatch, logits: Tensor, loss_data: Tensor, penalty: Penalty | None
    ) -> None:
        """Add what a step computed."""
        n = len(batch.index)
        self.images += n
        self.loss_data = self.loss_data + loss_data.data * n
        self.correct = self.correct + (logits.data.argmax(axis=1) == batch.labels).sum()
        if penalty is not None:
            self.f += penalty.f * n
            self.b = penalty.b
            if penalty.loss is not None:
                self.loss_penalty = self.loss_penalty + penalty.loss.data * n
        losses = self.loss_data + self.loss_penalty
        self.finite = self.finite + array_module(losses).isfinite(losses)

    def of_all_ranks(self) -> Sums:
        """The sums over the images of all ranks, each of which must ask."""
        if ranks.size() == 1:
            return self
        total, everyone = copy(self), np.array([float(vars(self)[name]) for name in ADDED])
        ranks.add(everyone)
        vars(total).update(zip(ADDED, everyone.tolist(), strict=True))
        return total

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

    def state(self) -> dict[str, Any]:
        """It as JSON, exactly: a float holds any float32, and added to a float32 it gives one."""
        numbers = vars(self.of_all_ranks()).items()
        return {name: None if value is None else float(value) for name, value in numbers}


@dataclass
class Progress:
    """How far an epoch has come, as a checkpoint holds it.

    epoch: 0, 1, ... of the stage. done: its minibatches that were trained on. data: the state of
    the stream "data" when it began, from which its minibatches are made again. started: by
    `time.perf_counter`, as if nothing had interrupted it.
    """

    epoch: int
    done: int = 0
    sums: Sums = field(default_factory=Sums)
    data: Mapping[str, Any] = field(
        default_factory=lambda: random.stream("data").bit_generator.state
    )
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Spent on the epoch until now."""
        return time.perf_counter() - self.started

    def state(self) -> dict[str, Any]:
        """It as JSON."""
        about = {"epoch": self.epoch, "done": self.done, "data": self.data}
        return about | {"seconds": self.seconds, "sums": self.sums.state()}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Progress:
        """From what `state` returned."""
        sums = Sums()
        vars(sums).update(state["sums"])
        if ranks.rank():  # rank 0 goes on with the sums of all
            vars(sums).update(dict.fromkeys(ADDED, 0.0))
        started = time.perf_counter() - state["seconds"]
        return cls(state["epoch"], state["done"], sums, state["data"], started)


def place(stage: Stage, progress: Progress) -> str:
    """Where a stage is, in words."""
    return f"in epoch {progress.epoch + 1}, iteration {progress.done + 1} of stage {stage.name!r}"


def check_finite(stage: Stage, progress: Progress) -> None:
    """Raise DivergenceError unless the losses of the epoch are finite, and all that is saved."""
    net, optimizer, sums = stage.net, stage.optimizer, progress.sums
    if progress.done and sums.finite < progress.done:  # on a GPU, where `Watch` does not look
        progress = replace(progress, done=int(sums.finite))
        raise DivergenceError(
            f"the loss is not finite {place(stage, progress)}: {advice(net, optimizer)}; "
            "--detect-anomaly names the operation"
        )
    check_state(net, optimizer, place(stage, progress))
