"""What a run is going to do: of the data, of the network, of the budget and of its epochs."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import numpy as np

from ..data import Dataset
from ..kernels.dispatch import is_available
from ..runtime import arrays, threads
from ..runtime.arrays import device_name
from ..train.config import Config
from ..train.run import Plan

NAMES = 50  # characters of the names of classes that are listed


def facts_of(config: Config, dataset: Dataset, plan: Plan) -> dict[str, Any]:
    """What is known before anything is trained, as JSON takes it."""
    per_class = np.bincount(dataset.train.labels, minlength=dataset.num_classes)
    teacher = config.teacher_epochs if config.teacher is None else 0
    data = {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "train": len(dataset.train),
        "val": len(dataset.val) if dataset.val else 0,
        "test": len(dataset.test),
        "train_per_class": [int(per_class.min()), int(per_class.max())],
        "augmentation": dataset.augmentation.describe(),
        "notes": list(dataset.notes),
    }
    return {
        "data": data,
        "network": {"model": config.model, **plan.full},
        "budget": {"metric": config.metric, "value": plan.budget, "full": plan.full[config.metric]},
        "plan": {
            "method": config.method,
            "epochs_teacher": teacher,
            "epochs_pruning": plan.epochs - teacher,
            "batch_size": config.batch_size,
            "iterations": plan.epochs * plan.iterations,
        },
    }


def machine() -> str:
    """What computes, in a line."""
    if arrays.device() != "cpu":
        return f"on {device_name()}"
    kernels = "compiled kernels" if is_available() else "no compiled kernels (the extra fast)"
    n = threads.count()
    return f"on {device_name()}, {n} thread{'s' * (n > 1)}, {kernels}"


def summary(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts for a person: headings and sentences."""
    data, budget, plan = facts["data"], facts["budget"], facts["plan"]
    network = dict(facts["network"])
    height, width, channels = data["image_shape"]
    least, most = data["train_per_class"]
    held_out = f"{data['val']:,} validation, " * bool(data["val"])
    colours = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    names = shorten(", ".join(data["classes"]), NAMES, placeholder=" ...")
    return [
        ("data", f"{data['name']}: {data['train']:,} training, {held_out}{data['test']:,} test "
                 f"images of {height}x{width} pixels, {colours}; training images are "
                 f"{data['augmentation']}"),
        ("classes", f"{len(data['classes'])} of {each} training images: {names}"),
        *(("note", note) for note in data["notes"]),
        ("network", f"{network.pop('model')}: "
                    + ", ".join(f"{name} {value:,}" for name, value in network.items())),
        ("budget", f"{budget['metric']} {budget['value']:,} of {budget['full']:,}, "
                   f"{budget['full'] / budget['value']:.3g}x less"),
        ("plan", f"epochs: {plan['epochs_teacher']} of the teacher, {plan['epochs_pruning']} of "
                 f"{plan['method']}; {plan['iterations']:,} iterations of {plan['batch_size']} "
                 "images; their time is told when the first are done"),
    ]  # fmt: skip
