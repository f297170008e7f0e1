"""A run: the teacher, then the recipe of a method, in stages that can be interrupted (Supp. 3).

A run can be interrupted at any step, and resumes from there bit for bit; one that is killed resumes
from its last checkpoint, which is at most `checkpoint_minutes` old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import nn, pruning
from ..data import NO_AUGMENTATION, Dataset
from ..nn import CompactNetwork, Module, ResidualNetwork
from ..nn.gates import GateFactory
from ..pruning import BudgetError, Cost
from ..pruning.methods import METHODS, Penalty
from ..pruning.methods.recipe import Net
from ..runtime import memory, random, ranks, signals
from . import doubts
from .budget import parse_budget
from .captured import gradients_of_a_stage
from .config import Config, check_unchanged, from_table
from .data_loss import DataLoss, Distillation, cross_entropy
from .errors import TrainingError
from .folder import Checkpoint, RunFolder
from .following import check_same_data
from .images import Images
from .listeners import Listener, Listeners
from .loop import (
    Progress,
    Stage,
    batches_per_epoch,
    check_finite,
    epoch_record,
    optimizer_of,
    reduced_for_last,
    train_epoch,
)
from .parallel import as_first
from .teachers import Start, fit_head, start_of


class Plan(NamedTuple):
    """What a run is to do.

    budget: B. epochs: of all its stages together. iterations: in an epoch. full: every cost of the
    full network, by name.
    """

    budget: int
    epochs: int
    iterations: int
    full: dict[str, int]


def check(config: Config, dataset: Dataset, folder: RunFolder | None = None) -> Plan:
    """The plan. ValueError if the method cannot keep the budget, or the options do not fit.

    folder: of a run that is resumed. Once it holds the teacher, no other file of it is needed.
    """
    random.seed(config.seed)  # as the run will draw
    model = nn.build(config.model, dataset.num_classes, dataset.image_shape, nn.HardConcrete)
    cost = pruning.COSTS[config.metric]
    budget = parse_budget(config.budget, cost.full(model))
    smallest = METHODS[config.method].smallest(cost, model)
    if budget < smallest:
        raise ValueError(
            f"budget {config.budget!r} is {budget:,}, but {config.model} cannot be pruned below "
            f"{smallest:,} by --method {config.method}"
        )
    start = start_of(config, dataset, folder)
    if config.skip_closed:
        nn.skip_closed(model)
    if not getattr(cost.expected(model), "requires_grad", False):
        raise TypeError(
            f"the cost {config.metric!r} of expected numbers of channels is no Tensor with a "
            "gradient: give it a differentiable `expected`"
        )
    if len(dataset.train) < 2:
        raise ValueError("at least two training images are needed")
    epochs = config.total_epochs(cost.full(model) / budget)
    if start is not None and start.other_head is not None:
        epochs += config.teacher_epochs
    full = {name: cost.full(model) for name, cost in pruning.COSTS.items()}
    return Plan(budget, epochs, batches_per_epoch(dataset, config.batch_size), full)


def train(
    config: Config,
    dataset: Dataset,
    folder: RunFolder,
    listen: Listener,
    budget: int,
    teacher_only: bool = False,
) -> dict[str, Any]:
    """Run all stages, or those that an interrupted run has left; write the networks.

    budget: B, of the plan that `check` returns. teacher_only: end after the teacher. Returns the
    facts of the run: counts, accuracies, seconds. Raises TrainingError where the loss diverges or
    the budget cannot be reached, ValueError if the folder is of a run with other options or data.
    """
    random.seed(config.seed)
    ranks.share_out(min(config.batch_size, len(dataset.train)))
    check_same_data(dataset)
    checkpoint = folder.load_checkpoint()
    if checkpoint is not None:
        check_same_run(checkpoint, config, dataset, folder)
    folder.save_config(config)  # where the data lies now, say
    facts = checkpoint.facts if checkpoint else {}
    if (start := start_of(config, dataset, folder)) is not None:
        dataset = start.dataset(dataset)
        as_first(start.net)
    cost = pruning.COSTS[config.metric]
    run = Run(config, cost, budget, Images(dataset), folder, listen, checkpoint, facts)
    with np.errstate(over="ignore", invalid="ignore"):  # each step is checked
        run.warn(*doubts.of_rates(config.lr, config.gate_lr, run.iterations(config.epochs[0])))
        run.train_teacher(start)
        if teacher_only:
            return run.facts
        try:
            small = METHODS[config.method].recipe(run)
        except BudgetError as error:
            raise TrainingError(str(error)) from error
    run.facts |= {"budget": budget, "accuracy": run.images.test_accuracy(small)}
    run.facts |= run.images.epoch_accuracies(small)
    run.warn_of_accuracy("the pruned network", run.facts["accuracy"])
    folder.save_network(folder.pruned, small, dataset)
    return run.facts


def check_same_run(
    checkpoint: Checkpoint, config: Config, dataset: Dataset, folder: RunFolder
) -> None:
    """Raise ValueError if the checkpoint is of other options, or was trained on other data."""
    check_unchanged(from_table(checkpoint.config, str(folder.path)), config)
    if checkpoint.data != dataset.fingerprint:
        raise ValueError(
            f"{config.data} is not what the run in {folder.path} was trained on: classes or images "
            "were added, removed, renamed or changed; if the same data lies elsewhere, give --data "
            "PATH beside --resume"
        )


@dataclass
class Run:
    """What the recipe of a method works with: `pruning.methods.Run`."""

    config: Config
    cost: Cost
    budget: int
    images: Images
    folder: RunFolder
    listen: Any  # a Listener, then all of them
    checkpoint: Checkpoint | None  # where an interrupted run stopped
    facts: dict[str, Any] = field(default_factory=dict)  # what was found out, for the result

    def __post_init__(self) -> None:
        self._save_at = self._next_save()
        self.listen = Listeners(self.listen)

    def warn(self, *lines: str | None) -> None:
        """Say each line now, and at the end; None is nothing, and what was said is not repeated."""
        said = self.facts.setdefault("warnings", [])
        for line in filter(None, lines):
            if line not in said:
                said.append(line)
                self.listen.warn(line)

    def warn_of_accuracy(self, who: str, accuracy: float) -> None:
        """Say so if it is at chance."""
        self.warn(doubts.of_accuracy(who, accuracy, self.images.dataset.test.labels))

    # --- networks

    def network(self, gate: GateFactory | None = None) -> ResidualNetwork:
        """A full network, with random weights or, under --init-from-teacher, the teacher's."""
        model = self._build(gate)
        if self.config.init_from_teacher:  # as the paper does for Mio-TCD (Section 5.1)
            model.load_state_dict(model.state_dict() | self.teacher().state_dict())
        if self.config.skip_closed and gate is not None:
            nn.skip_closed(model)
        return model

    def teacher(self) -> ResidualNetwork:
        """The trained full network, in evaluation mode."""
        return self._teacher

    def _build(self, gate: GateFactory | None) -> ResidualNetwork:
        dataset = self.images.dataset
        shape = dataset.num_classes, dataset.image_shape
        return nn.build(self.config.model, *shape, gate, self.config.live)

    def train_teacher(self, start: Start | None) -> None:
        """Train the full network (Supp. 3.3), or what it begins with, if that has another head."""
        config, dataset = self.config, self.images.dataset
        epochs, slow = config.teacher_epochs, config.teacher_slow_epochs
        net = self._build(None) if start is None else start.net
        is_trained = start is None or start.other_head is not None
        if is_trained and start is not None and self.checkpoint is None:
            fit_head(net, self.images)
            self.facts["accuracy_start"] = self.images.test_accuracy(net)
            self.listen.note(start.told(self.facts["accuracy_start"], dataset))
            self.listen.note(f"all of it is trained now: --teacher-epochs {epochs}")
        if is_trained:
            slow = epochs // 9 if slow is None else slow
            self._train("teacher", net, epochs, slow, cross_entropy)
        self._teacher = net.eval()
        self.facts |= {
            "accuracy_teacher": self.images.test_accuracy(net),
            "params_full": nn.count_parameters(net),
            "volume_full": pruning.volume(net),
            "flops_full": pruning.flops(net),
        }
        if start is not None and not is_trained:
            self.listen.note(start.told(self.facts["accuracy_teacher"], dataset))
        self.warn_of_accuracy("the teacher", self.facts["accuracy_teacher"])
        if "accuracy_start" in self.facts:
            accuracies = self.facts["accuracy_start"], self.facts["accuracy_teacher"]
            self.warn(doubts.of_new_head(*accuracies))
        self.folder.save_network(self.folder.teacher, net, dataset)

    # --- stages

    def iterations(self, epochs: int) -> int:
        """The number of minibatches in so many epochs."""
        return epochs * batches_per_epoch(self.images, self.config.batch_size)

    def fit(
        self,
        stage: str,
        net: Net,
        epochs: int,
        slow: int = 0,
        penalty: Callable[[int], Penalty] | None = None,
        distill: bool = True,
    ) -> Net:
        """Train `net` on L_D and the penalty, or hand back what the stage had trained."""
        if epochs:
            data_loss = self.data_loss if distill else cross_entropy
            self._train(stage, net, epochs, slow, data_loss, penalty)
        else:  # no training will find the statistics
            nn.recompute_statistics(net, self.images.for_statistics())
        if hasattr(penalty, "target"):
            gated: Any = net
            costs = self.cost.full(gated), self.cost.exact(gated), self.budget
            self.warn(doubts.of_pruning(self.config.metric, *costs))
        return net

    def _train(
        self,
        name: str,
        net: Module,
        epochs: int,
        slow: int,
        data_loss: DataLoss,
        penalty: Any = None,
    ) -> None:
        checkpoint = self.checkpoint
        is_here = checkpoint is not None and checkpoint.stage == name
        if not is_here and (ended := self.folder.load_stage(name)) is not None:
            arrays, streams = ended
            net.load_state_dict(arrays)
            random.restore_streams(streams)
            self.listen.step(name, epochs, epochs, 1, 1, 0)
            return
        config, rate = self.config, reduced_for_last(slow, epochs, self.config.lr)
        optimizer = optimizer_of(net, config, self.iterations(epochs), penalty)
        how = gradients_of_a_stage(penalty, self.warn)
        stage = Stage(name, epochs, net, optimizer, data_loss, rate, penalty, how)
        if checkpoint is not None and is_here:
            checkpoint.restore(net, optimizer)
            if checkpoint.penalty:
                penalty.memory = checkpoint.penalty
            random.restore_streams(checkpoint.streams)
            progress, self.checkpoint = Progress.restored(checkpoint.progress), None
        else:
            progress = Progress(0)
            self._save(stage, progress)  # a full disk is noticed before the first epoch
        while progress.epoch < epochs:
            self._tell_step(stage, progress)
            with signals.held():
                train_epoch(stage, self.images, config.batch_size, progress, self._after_step)
                self._save(stage, progress)  # what follows can be computed again
            record = epoch_record(stage, self.images, self.cost, progress)
            self._count(record["seconds"], net, data_loss)
            if name == "teacher" and progress.epoch == 0:
                self.warn(doubts.of_loss(name, record["loss"], self.images.dataset.num_classes))
            self.folder.append_metrics(record)
            self.listen(record | {"epochs": epochs})
            progress = Progress(progress.epoch + 1)
        self._save(stage, progress)
        self.folder.save_stage(name, net, random.streams_state())

    def _after_step(self, stage: Stage, progress: Progress) -> None:
        """Save what was reached if it is time to, and end the run if a signal asks for it."""
        self._tell_step(stage, progress)
        number, is_time = ranks.highest(signals.received(), time.monotonic() >= self._save_at)
        if number or is_time:
            signals.note(number)
            self._save(stage, progress)
            iteration = self.iterations(progress.epoch) + progress.done
            signals.stop(f" at iteration {iteration:,} of stage {stage.name!r}")

    def _tell_step(self, stage: Stage, progress: Progress) -> None:
        steps = batches_per_epoch(self.images, self.config.batch_size)
        images = min(self.config.batch_size, len(self.images.train)) if progress.done else 0
        self.listen.step(stage.name, progress.epoch + 1, stage.epochs, progress.done, steps, images)

    def _save(self, stage: Stage, progress: Progress) -> None:
        check_finite(stage, progress)
        self.facts |= memory.peaks(self.facts)
        # The thread that makes minibatches draws ahead of the steps: its stream is saved as it was
        # when the epoch began.
        streams = random.streams_state()
        streams["streams"]["data"] = progress.data
        about = {
            "stage": stage.name, "progress": progress.state(), "streams": streams,
            "facts": self.facts, "config": self.config.as_table(),
            "data": self.images.dataset.fingerprint,
            "penalty": list(getattr(stage.penalty, "memory", ())),
        }  # fmt: skip
        self.folder.save_checkpoint(stage.net, stage.optimizer, about)
        signals.note(*ranks.highest(signals.received()))  # none goes on before it is written
        self._save_at = self._next_save()

    def _count(self, seconds: float, net: Any, data_loss: DataLoss) -> None:
        """Add an epoch to the run's time, and to its operations.

        The backward pass of a convolution takes two products, each as large as the forward one;
        closed channels are counted, too. Distillation takes a forward pass of the teacher, unless
        its logits were computed once.
        """
        flops = pruning.COSTS["flops"].full
        per_image = 3 * flops(net)
        if isinstance(data_loss, Distillation) and data_loss.cached is None:
            teacher: Any = data_loss.teacher
            per_image += flops(teacher)
        images = batches_per_epoch(self.images, self.config.batch_size) * self.config.batch_size
        for name, value in (("seconds", seconds), ("training_flops", images * per_image)):
            self.facts[name] = self.facts.get(name, 0) + value

    def _next_save(self) -> float:
        return time.monotonic() + 60 * self.config.checkpoint_minutes

    @cached_property
    def data_loss(self) -> DataLoss:
        """L_D (Section 3.5): distillation, or cross-entropy without it."""
        config, images = self.config, self.images
        if not config.distill:
            return cross_entropy
        is_augmented = images.dataset.augmentation != NO_AUGMENTATION
        unchanged = None if is_augmented else images.train
        return Distillation(self.teacher(), unchanged, config.alpha, config.temperature)

    def report(
        self, small: CompactNetwork, gated: ResidualNetwork | None = None, **facts: Any
    ) -> None:
        """Record what hard pruning made: sizes, accuracy, and further facts for result.json."""
        with self.images.own_statistics(small):
            accuracy_hard = self.images.test_accuracy(small)
        connectivity = (small, "mixed") if gated is None else (gated, "regular")
        self.facts |= {
            "dropped": 0,
            "reopened": 0,
            **facts,
            "cost": self.cost.exact(small),
            "volume": pruning.volume(small),
            "volume_regular": pruning.volume(*connectivity),
            "flops": pruning.flops(small),
            "flops_regular": pruning.flops(*connectivity),
            "params": nn.count_parameters(small),
            "channels": channels_left(self.teacher(), small, gated),
            "accuracy_hard": accuracy_hard,
        }


def channels_left(
    full: ResidualNetwork, small: CompactNetwork, gated: ResidualNetwork | None
) -> list[tuple[str, int, int, int]]:
    """(convolution, channels left, channels before, output area); arguments as `Run.report`."""
    if gated is None:
        left = [site.conv.c_out for site in pruning.sites(small)]
    else:
        left = [int(layer.writes.sum()) for layer in pruning.hard_pruned(gated)]
    sites = pruning.sites(full)
    return [(s.name, n, s.conv.c_out, s.area) for s, n in zip(sites, left, strict=True)]
