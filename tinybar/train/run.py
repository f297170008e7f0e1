"""The three stages of a run: the teacher, pruning while training, fine-tuning (Supp. 3).

    teacher     the full network, with cross-entropy
    prune       the gated network, with the data loss and lambda L_BAR; then hard pruning
    fine-tune   the compact network, with the data loss only; the last epochs at lr / 10

After every epoch the run can be interrupted, and goes on from there bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import nn, pruning
from ..autograd import Tensor
from ..data import NO_AUGMENTATION, Dataset, batches, in_order
from ..nn import Adam, Module
from ..nn.pretrained import load_weights
from ..pruning.methods.bar import BudgetAwareRegularizer, Penalty
from ..pruning.methods.scratch import prune_at_random
from ..runtime import memory, random
from ..runtime.arrays import keep_on_device, to_device
from . import budget
from .checkpoint import Progress, RunFolder, load_model, rebuild, save_model
from .config import Config
from .data_loss import DataLoss, Distillation, Minibatch, cross_entropy

STAGES = ("teacher", "prune", "fine-tune")
GATE_TRAVEL = 32.0  # how far log alpha can go while the barrier stands, in steps of Adam


class TrainingError(RuntimeError):
    """The run cannot go on, or did not reach what was asked of it."""


Listener = Callable[[dict], None]  # is told of every epoch; the display is one


@dataclass
class Images:
    """A data set as the network wants it: normalised images (N, H, W, C), labels (N,)."""

    dataset: Dataset
    train: np.ndarray = field(init=False)
    test: np.ndarray = field(init=False)
    val: np.ndarray | None = field(init=False)

    def __post_init__(self):
        splits = self.dataset.train, self.dataset.test, self.dataset.val
        self.train, self.test, self.val = (
            None if split is None else keep_on_device(self.dataset.normalise(split.images))
            for split in splits
        )

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, len(self.train) // batch_size)


@dataclass
class Stage:
    """One stretch of training.

    learning_rate: of an epoch. penalty: lambda L_BAR of an iteration, in the stage that prunes.
    """

    name: str
    epochs: int
    model: Module
    optimizer: Adam
    data_loss: DataLoss
    learning_rate: Callable[[int], float]
    penalty: Callable[[int], Penalty] | None = None


@dataclass
class Run:
    """What all stages share."""

    config: Config
    images: Images
    folder: RunFolder
    listen: Listener
    progress: Progress | None = None  # where an interrupted run stopped
    facts: dict = field(default_factory=dict)  # what the stages found out, for the result

    def has_passed(self, stage: str) -> bool:
        """Whether the run that is resumed had finished this stage."""
        resumed = self.progress
        return resumed is not None and STAGES.index(resumed.stage) > STAGES.index(stage)

    def save(self, stage: Stage, epoch: int) -> None:
        self.facts |= memory.peaks(self.facts)
        streams = random.streams_state()
        self.folder.save_progress(
            stage.name, epoch, stage.model, stage.optimizer, streams, self.facts
        )


def train(config: Config, dataset: Dataset, folder: RunFolder, listen: Listener) -> dict:
    """Run all stages, or those that an interrupted run has left; write the networks.

    Returns the facts of the run: counts, accuracies, seconds. Raises ValueError where the options
    do not fit the data or the network, TrainingError where the loss diverges or the budget is
    not reached.
    """
    random.seed(config.seed)
    run = Run(config, Images(dataset), folder, listen, folder.load_progress())
    if run.progress is not None:
        run.facts = run.progress.facts
    with np.errstate(over="ignore", invalid="ignore"):  # the loss tells, in one line
        teacher = train_teacher(run)
        small = prune(run, teacher)
        fine_tune(run, small, teacher)
    save_model(folder.pruned, small, dataset)
    return run.facts


def check(config: Config, dataset: Dataset) -> int:
    """The budget B. ValueError if the network cannot have it, or the options do not fit."""
    model = nn.build(config.model, dataset.num_classes, dataset.image_shape, nn.HardConcrete)
    cost = pruning.COSTS[config.metric]
    target = budget.parse_budget(config.budget, cost.full(model))
    smallest = cost.smallest(model)
    if target < smallest:
        raise ValueError(
            f"budget {config.budget!r} is {target:,}, but {config.model} cannot be pruned below "
            f"{smallest:,}: its stem and its shortcuts keep one feature each"
        )
    if config.teacher is not None:
        plain = nn.build(config.model, dataset.num_classes, dataset.image_shape)
        load_weights(plain, Path(config.teacher))
    if config.skip_closed and not model.can_shrink:
        raise ValueError(f"--skip-closed is for wide residual networks, not for {config.model}")
    if len(dataset.train) < 2:
        raise ValueError("at least two training images are needed")
    return target


# --- the stages ----------------------------------------------------------------------------------


def train_teacher(run: Run) -> Module:
    """The unpruned network (Supp. 3.3), in evaluation mode: trained, or from a file."""
    if run.has_passed("teacher"):
        return load_model(run.folder.teacher)[0]
    config, dataset = run.config, run.images.dataset
    model = nn.build(config.model, dataset.num_classes, dataset.image_shape)
    if config.teacher is not None:
        load_weights(model, Path(config.teacher))
    else:
        optimizer = Adam(model.parameters(), config.lr, config.weight_decay)
        epochs, slow = config.teacher_epochs, config.teacher_slow_epochs
        schedule = reduced_for_last(epochs // 9 if slow is None else slow, epochs, config.lr)
        fit(run, Stage("teacher", epochs, model, optimizer, cross_entropy, schedule))
    run.facts |= {
        "accuracy_teacher": test_accuracy(run, model),
        "params_full": nn.count_parameters(model),
        "volume_full": pruning.volume(model),
        "flops_full": pruning.flops(model),
    }
    save_model(run.folder.teacher, model, dataset)
    return model.eval()


def prune(run: Run, teacher: Module) -> Module:
    """The compact network, hard-pruned to the budget, before fine-tuning."""
    if run.has_passed("prune"):
        small = rebuild(run.progress.network)
        small.load_state_dict(run.progress.part("model"))
        return small
    config, dataset = run.config, run.images.dataset
    model = nn.build(config.model, dataset.num_classes, dataset.image_shape, nn.HardConcrete)
    if config.init_from_teacher:  # as the paper does for Mio-TCD (Section 5.1)
        model.load_state_dict(model.state_dict() | teacher.state_dict())
    model.shrinks = config.skip_closed
    cost = pruning.COSTS[config.metric]
    target = budget.parse_budget(config.budget, cost.full(model))
    if config.method == "bar":
        train_with_barrier(run, model, teacher, cost, target)
    else:
        prune_at_random(model, cost, target)
    try:
        dropped = pruning.enforce_budget(model, cost, target)
    except pruning.BudgetError as error:
        raise TrainingError(str(error)) from error
    reopened = pruning.use_budget(model, cost, target) if config.method == "bar" else 0
    small = pruning.compact(model)
    if config.method == "scratch" and not config.init_from_teacher:
        small = nn.compact_network(small.layout)  # trained from scratch: nothing was learnt yet
    run.facts |= {
        "budget": target,
        "dropped": dropped,
        "reopened": reopened,
        "cost": cost.exact(small),
        "volume": pruning.volume(small),
        "volume_regular": pruning.volume(model, "regular"),
        "flops": pruning.flops(small),
        "flops_regular": pruning.flops(model, "regular"),
        "params": nn.count_parameters(small),
        "features": features_left(model),
        "accuracy_hard": test_accuracy(run, small),
    }
    return small


def train_with_barrier(run: Run, model: Module, teacher: Module, cost, target: int) -> None:
    """Train and prune together, under the falling budget (Section 3)."""
    config = run.config
    iterations = config.epochs[0] * run.images.batches_per_epoch(config.batch_size)
    regularizer = BudgetAwareRegularizer(
        model, cost, target, iterations, config.schedule, config.lambda_
    )
    gates = [gate.log_alpha for gate in pruning.gates_of(model)]
    gate_lr = config.gate_lr or max(config.lr, GATE_TRAVEL / iterations)
    optimizer = Adam(
        [
            {"params": without(model.parameters(), gates), "weight_decay": config.weight_decay},
            {"params": gates, "lr": gate_lr},
        ],
        config.lr,
    )
    epochs, data_loss = config.epochs[0], data_loss_of(run, teacher)
    schedule = reduced_for_last(0, epochs, config.lr)
    fit(run, Stage("prune", epochs, model, optimizer, data_loss, schedule, regularizer.penalty))


def fine_tune(run: Run, model: Module, teacher: Module) -> None:
    """Let the compact network adapt to hard pruning (Section 3.2, Supp. 3.1)."""
    config = run.config
    fast, slow = config.epochs[1:]
    if config.method == "scratch":
        fast += config.epochs[0]  # it has not been trained yet: the same number of epochs in all
    optimizer = Adam(model.parameters(), config.lr, config.weight_decay)
    epochs, data_loss = fast + slow, data_loss_of(run, teacher)
    schedule = reduced_for_last(slow, epochs, config.lr)
    fit(run, Stage("fine-tune", epochs, model, optimizer, data_loss, schedule))
    run.facts |= {"accuracy": test_accuracy(run, model)} | epoch_accuracies(run, model)


def data_loss_of(run: Run, teacher: Module) -> DataLoss:
    """L_D (Section 3.5): distillation, or cross-entropy without it."""
    config, images = run.config, run.images
    if not config.distill:
        return cross_entropy
    is_augmented = images.dataset.augmentation != NO_AUGMENTATION
    every_epoch = None if is_augmented else images.train
    return Distillation(teacher, every_epoch, config.alpha, config.temperature)


def without(parameters: list, excluded: list) -> list:
    """The parameters that are none of the excluded ones."""
    identities = {id(parameter) for parameter in excluded}
    return [parameter for parameter in parameters if id(parameter) not in identities]


def reduced_for_last(slow: int, epochs: int, lr: float) -> Callable[[int], float]:
    """The learning rate of an epoch: lr, and lr / 10 for the last `slow` of `epochs`."""
    return lambda epoch: lr if epoch < epochs - slow else lr / 10


def features_left(model: Module) -> list[tuple[str, int, int, int]]:
    """(convolution, features left, features before, output area) of the gated network."""
    return [
        (layer.site.name, int(layer.writes.sum()), layer.writes.size, layer.site.area)
        for layer in pruning.hard_pruned(model)
    ]


# --- epochs --------------------------------------------------------------------------------------


def fit(run: Run, stage: Stage) -> None:
    """Train for the epochs of a stage that are left, and keep the progress after each."""
    first = 0
    if run.progress is not None and run.progress.stage == stage.name:
        stage.model.load_state_dict(run.progress.part("model"))
        stage.optimizer.load_state_dict(run.progress.part("optimizer"))
        random.restore_streams(run.progress.streams)
        first = run.progress.epoch
    else:
        run.save(stage, 0)
    for epoch in range(first, stage.epochs):
        record = train_epoch(run, stage, epoch)
        run.facts["seconds"] = run.facts.get("seconds", 0.0) + record["seconds"]
        run.folder.append_metrics(record)
        run.save(stage, epoch + 1)
        run.listen(record | {"epochs": stage.epochs})


def train_epoch(run: Run, stage: Stage, epoch: int) -> dict:
    """One epoch, and its record: a line of metrics.jsonl."""
    start = time.perf_counter()
    config, images = run.config, run.images
    lr = stage.optimizer.groups[0]["lr"] = stage.learning_rate(epoch)
    iteration = epoch * images.batches_per_epoch(config.batch_size)
    sums, seen, penalty = dict.fromkeys(("loss_data", "loss_prior", "f", "right"), 0.0), 0, None
    stage.model.train()
    labels = to_device(images.dataset.train.labels)
    everything, augmentation = np.arange(len(labels)), images.dataset.augmentation
    stream = random.stream("data")
    for x, index in batches(images.train, everything, config.batch_size, stream, augmentation):
        index = to_device(index)
        batch, n = Minibatch(Tensor(to_device(x)), labels[index], index), len(index)
        logits = stage.model(batch.x)
        loss = data_loss = stage.data_loss(logits, batch)
        if stage.penalty is not None:
            penalty = stage.penalty(iteration)
            sums["f"] += penalty.f * n
            if penalty.loss is not None:
                loss = data_loss + penalty.loss
                sums["loss_prior"] = sums["loss_prior"] + penalty.loss.data * n
        stage.optimizer.zero_grad()
        loss.backward()
        stage.optimizer.step()
        iteration, seen = iteration + 1, seen + n
        # Sums of arrays: they stay on the device, and nothing waits for them until the epoch ends.
        sums["loss_data"] = sums["loss_data"] + data_loss.data * n
        sums["right"] = sums["right"] + (logits.data.argmax(axis=1) == batch.labels).sum()
    means = {name: float(value) / seen for name, value in sums.items()}
    return {
        "stage": stage.name,
        "epoch": epoch + 1,
        "lr": lr,
        "loss": _finite(means["loss_data"] + means["loss_prior"], stage, epoch, lr),
        "loss_data": means["loss_data"],
        "loss_prior": means["loss_prior"],
        "volume": penalty.volume if penalty else pruning.COSTS[config.metric].exact(stage.model),
        "b": penalty.b if penalty else None,
        "f": means["f"] if penalty else None,
        "accuracy_train": means["right"],
        **epoch_accuracies(run, stage.model),
        "seconds": time.perf_counter() - start,
        "images_per_second": seen / (time.perf_counter() - start),
    }


def _finite(loss: float, stage: Stage, epoch: int, lr: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} in epoch {epoch + 1} of stage {stage.name!r}: "
            f"try a lower --lr than {lr:g}"
        )
    return loss


def epoch_accuracies(run: Run, model: Module) -> dict:
    """What is told of every epoch. Where images are held out for it, the test images wait."""
    images = run.images
    if images.val is None:
        return {"accuracy_test": test_accuracy(run, model)}
    held_out = accuracy(model, images.val, images.dataset.val.labels)
    return {"accuracy_val": held_out, "accuracy_test": None}


def test_accuracy(run: Run, model: Module) -> float:
    """Accuracy on the test images of the run."""
    return accuracy(model, run.images.test, run.images.dataset.test.labels)


def accuracy(model: Module, images: np.ndarray, labels: np.ndarray, batch_size: int = 256) -> float:
    """Share of the images that the model, in evaluation mode, classifies right."""
    was_training = model.training
    model.eval()
    right = 0.0
    for x, y in in_order(images, labels, batch_size):
        right += nn.accuracy(nn.predict(model, Tensor(to_device(x))), y) * len(y)
    model.train(was_training)
    return right / len(labels)
