"""Saved networks: loading one, and measuring its test accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import data, nn, pruning
from ..data.dataset import Dataset
from ..data.image_folder import TestSet
from ..nn.networks.residual import ResidualNetwork
from .config import Config
from .folder import RunFolder
from .images import accuracy
from .models import load_model


def saved_network(path: Path, teacher: bool = False) -> tuple[ResidualNetwork, dict[str, Any]]:
    """(network, facts about its data) from a run's folder or from a .safetensors file.

    teacher: the full network of the run, not the pruned one. Raises ValueError as `load_model`.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        path = folder.teacher if teacher else folder.pruned
    elif teacher:
        raise ValueError(f"--teacher needs the folder of a run, and {path} is not one")
    return load_model(path)


def evaluate(
    path: Path, name: str | None, teacher: bool, data_dir: Path | None = None
) -> dict[str, Any]:
    """Test accuracy and costs of a saved network, and the notes of its data set.

    name: of a data set whose classes the network knows; its image files are made to what the
    network takes. None is the network's own. data_dir: None is the run's. Raises ValueError for a
    data set that does not fit, and as `saved_network` and `data.load`.
    """
    model, about = saved_network(path, teacher)
    is_run = Path(path).is_dir()
    config = RunFolder.open(path).load_config() if is_run else Config()
    data_dir = data_dir or Path(config.data_dir)
    tested: Dataset | TestSet
    if name is None and is_run:
        tested = config.dataset(data_dir)
    else:
        tested = data.load_test(_name(name, about), model.image_shape, data_dir)
    images, labels = as_read_by(model, about, tested)
    return {
        "dataset": tested.name,
        "images": len(labels),
        "accuracy": accuracy(model, images, labels),
        "volume": pruning.volume(model),
        "flops": pruning.flops(model),
        "params": nn.count_parameters(model),
        "notes": list(tested.notes),
    }


def as_read_by(
    model: ResidualNetwork, about: dict[str, Any], tested: Dataset | TestSet
) -> tuple[data.Normalised, np.ndarray]:
    """The test images of a data set as the network reads them, and their labels as it has them.

    about: what the network's file says of its data. ValueError for a data set that does not fit.
    """
    shape, known = tested.test.images.shape[1:], about["classes"]
    if shape != model.image_shape:
        raise ValueError(
            f"the network takes images {model.image_shape}, but those of {tested.name} are {shape}"
        )
    if unknown := [name for name in tested.classes if name not in known]:
        raise ValueError(
            f"the classes of {tested.name} differ from those that the network was trained on: "
            f"it does not know {', '.join(unknown[:10])}"
        )
    labels = np.array([known.index(name) for name in tested.classes])[tested.test.labels]
    # With the statistics of the training images then, which may have changed since.
    images = data.Normalised(tested.test.images, about["mean"], about["std"], tested.scale)
    return images, labels


def _name(name: str | None, about: dict[str, Any]) -> str:
    """The data set to test on: the given one, or the network's own if its name is enough."""
    if name is None and about["name"] not in data.DATASETS:
        raise ValueError(
            f"the network was trained on {about['name']!r}: say where it is, with --data PATH"
        )
    return about["name"] if name is None else name
