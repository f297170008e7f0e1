"""Saved networks: loading one, and measuring its test accuracy."""

from __future__ import annotations

from pathlib import Path

from .. import data, nn, pruning
from ..nn import Module
from .folder import RunFolder
from .images import accuracy
from .models import load_model


def saved_network(path: Path, teacher: bool = False) -> tuple[Module, dict]:
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


def evaluate(path: Path, name: str | None, teacher: bool, data_dir: Path) -> dict:
    """Test accuracy and costs of a saved network.

    name: of a data set with the same classes and image shape; None is the network's own. Raises
    ValueError for a data set that does not fit, and as `saved_network` and `data.load`.
    """
    model, about = saved_network(path, teacher)
    if name is None and Path(path).is_dir():
        dataset = RunFolder.open(path).load_config().dataset(data_dir)
    else:
        dataset = data.load(name or about["name"], cache_dir=data_dir)
    if dataset.image_shape != model.image_shape or dataset.num_classes != model.num_classes:
        raise ValueError(
            f"the network takes images {model.image_shape} of {model.num_classes} classes, "
            f"{dataset.name} has {dataset.image_shape} and {dataset.num_classes}"
        )
    if list(dataset.classes) != about["classes"]:
        raise ValueError(
            f"the classes of {dataset.name} differ from those that the network was trained on"
        )
    # With the statistics of the training images then, which may have changed since.
    statistics = about["mean"], about["std"], about["scale"]
    images = data.Normalised(dataset.test.images, *statistics)
    return {
        "dataset": dataset.name,
        "images": len(dataset.test),
        "accuracy": accuracy(model, images, dataset.test.labels),
        "volume": pruning.volume(model),
        "flops": pruning.flops(model),
        "params": nn.count_parameters(model),
    }
