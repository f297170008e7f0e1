"""Networks in files: self-describing, so that a network loads with no other file."""

from __future__ import annotations

from pathlib import Path

from .. import nn
from ..data import Dataset
from ..nn import CompactNetwork, Module, ResidualNetwork
from ..runtime.files import load_arrays, save_arrays


def save_model(path: Path, model: Module, dataset: Dataset) -> None:
    """Write the network with its structure, its classes and the normalisation of its images."""
    header = {"network": structure(model), "data": about(dataset)}
    save_arrays(path, model.state_dict(), header, "network")


def load_model(path: Path) -> tuple[Module, dict]:
    """(network in evaluation mode, what the file says of its data). ValueError if unusable."""
    arrays, header = load_arrays(Path(path), "network")
    try:
        model = rebuild(header["network"])
        model.load_state_dict(arrays)
        return model.eval(), header["data"]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path} holds no network that tinybar can use: {error}") from error


def structure(model: Module) -> dict:
    """What `rebuild` needs, as JSON."""
    if isinstance(model, CompactNetwork):
        return {"kind": "compact", "layout": model.layout}
    return {
        "kind": "full",
        "name": model.name,
        "num_classes": model.num_classes,
        "image_shape": list(model.image_shape),
        "gated": model.stem_gate is not None,
    }


def rebuild(description: dict) -> ResidualNetwork:
    """A network of that structure, with random weights."""
    if description["kind"] == "compact":
        return nn.compact_network(description["layout"])
    gate = nn.HardConcrete if description["gated"] else None
    shape = description["num_classes"], tuple(description["image_shape"])
    return nn.build(description["name"], *shape, gate)


def about(dataset: Dataset) -> dict:
    """How images become input and outputs become classes."""
    return {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "scale": dataset.scale,
    }
