"""Networks in files: self-describing, so that a network loads with no other file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import Dataset
from ..nn import CompactNetwork, ResidualNetwork
from ..nn.initial import at_most
from ..runtime.files import FileError, load_arrays, save_arrays


def save_model(path: Path, model: ResidualNetwork, dataset: Dataset) -> None:
    """Write the network with its structure, its classes and the normalisation of its images.

    Raises ValueError for what `load_model` would refuse.
    """
    arrays, header = model.state_dict(), {"network": structure(model), "data": about(dataset)}
    _check_dtypes(arrays)
    _check_data(header["data"], model)
    save_arrays(path, arrays, header, "network")


def load_model(path: Path) -> tuple[ResidualNetwork, dict[str, Any]]:
    """(network in evaluation mode, what the file says of its data).

    Raises FileError for a file as `load_arrays`, and for one that holds no network that fits
    together: its structure, its arrays, its classes and the normalisation of its images.
    """
    arrays, header = load_arrays(Path(path), "network")
    try:
        with at_most(sum(array.size for array in arrays.values())):
            model = rebuild(header["network"])
        model.load_state_dict(arrays)
        _check_dtypes(arrays)
        _check_data(header["data"], model)
        return model.eval(), header["data"]
    except KeyError as error:
        raise FileError(f"{path} holds no network that tinybar can use: no {error}") from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise FileError(f"{path} holds no network that tinybar can use: {error}") from error


def _check_dtypes(arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise ValueError(f"{name} is {array.dtype}, files of networks have float32")


def _check_data(data: dict[str, Any], model: ResidualNetwork) -> None:
    """Raises ValueError unless `data` is as `about` makes it, and fits the model."""
    classes, channels = data["classes"], model.image_shape[2]
    are_names = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not are_names or not len(classes) == len(set(classes)) == model.num_classes:
        raise ValueError(f"{model.num_classes} different classes expected, got {classes!r:.60}")
    if not isinstance(data["name"], str):
        raise ValueError(f"the name of its data must be a string, got {data['name']!r:.60}")
    for name in ("mean", "std"):
        if not isinstance(data[name], list) or len(data[name]) != channels:
            raise ValueError(f"{name} must be a list of {channels}, got {data[name]!r:.60}")
    numbers = [*data["mean"], *data["std"], data["scale"]]
    if not all(type(x) in (int, float) and math.isfinite(x) for x in numbers):
        raise ValueError(f"mean, std and scale must be finite numbers, got {numbers!r:.60}")
    if min(data["std"]) <= 0 or not 0 < data["scale"] <= 255:
        raise ValueError(f"std must be positive and scale in (0, 255], got {numbers!r:.60}")


def structure(model: ResidualNetwork) -> dict[str, Any]:
    """What `rebuild` needs, as JSON."""
    if isinstance(model, CompactNetwork):
        return {"kind": "compact", "layout": model.layout}
    entry = {
        "kind": "full",
        "name": model.name,
        "num_classes": model.num_classes,
        "image_shape": list(model.image_shape),
        "gated": model.stem_gate is not None,
    }
    return entry | {"live": model.live} if entry["gated"] else entry


def rebuild(description: dict[str, Any]) -> ResidualNetwork:
    """A network of that structure, with random weights. ValueError for an impossible one."""
    kind = description["kind"]
    if kind == "compact":
        return nn.compact_network(description["layout"])
    name, gated = description["name"], description["gated"]
    if kind != "full" or not isinstance(name, str) or not isinstance(gated, bool):
        raise ValueError(f"unknown structure: {description!r:.60}")
    classes, image_shape = description["num_classes"], tuple(description["image_shape"])
    gate = nn.HardConcrete if gated else None
    return nn.build(name, classes, image_shape, gate, description.get("live", "hard"))


def about(dataset: Dataset) -> dict[str, Any]:
    """How images become input and outputs become classes."""
    return {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "scale": dataset.scale,
    }
