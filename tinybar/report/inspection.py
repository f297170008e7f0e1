"""What `tinybar info` and `tinybar eval` tell of a network and of the system."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from .. import data, nn, pruning
from ..nn import Module
from ..runtime import blas, memory
from ..runtime.arrays import gpu_available
from ..train.folder import RunFolder
from ..train.images import accuracy
from ..train.models import load_model

PACKAGES = ("tinybar", "numpy", "pillow", "safetensors", "cupy-cuda12x", "cupy-cuda13x")


def saved_network(run: Path, teacher: bool = False) -> tuple[Module, dict]:
    """(network, about its data) of a run's folder or of a .safetensors file."""
    run = Path(run)
    if run.is_dir():
        folder = RunFolder.open(run)
        run = folder.teacher if teacher else folder.pruned
    elif teacher:
        raise ValueError(f"--teacher needs a run's folder, and {run} is not one")
    return load_model(run)


def evaluate_run(run: Path, name: str | None, teacher: bool, data_dir: Path) -> dict:
    """Test accuracy of a saved network, on its own data set or on another of the same shape."""
    model, about = saved_network(run, teacher)
    if name is None and Path(run).is_dir():
        dataset = RunFolder.open(run).load_config().dataset(data_dir)
    else:
        dataset = data.load(name or about["name"], cache_dir=data_dir)
    if dataset.image_shape != model.image_shape or dataset.num_classes != model.num_classes:
        raise ValueError(
            f"the network takes images {model.image_shape} of {model.num_classes} classes, "
            f"{dataset.name} has {dataset.image_shape} and {dataset.num_classes}"
        )
    if list(dataset.classes) != about["classes"]:
        raise ValueError(f"the classes of {dataset.name} are not those that the network learnt")
    # As the network was trained, even if the training images have changed since.
    images = data.normalise(dataset.test.images, about["mean"], about["std"], about["scale"])
    return {
        "dataset": dataset.name,
        "images": len(dataset.test),
        "accuracy": accuracy(model, images, dataset.test.labels),
        "volume": pruning.volume(model),
        "flops": pruning.flops(model),
        "params": nn.count_parameters(model),
    }


def describe(name: str, image_shape: tuple[int, int, int], classes: int) -> dict:
    """Every convolution of a network by name, or of a saved one, and the totals."""
    if Path(name).exists():
        model, _ = saved_network(Path(name))
    else:
        model = nn.build(name, classes, image_shape)
    layers = [
        {
            "name": layer.site.name,
            "kernel": list(layer.site.conv.kernel),
            "reads": int(layer.reads.sum()),
            "writes": int(layer.writes.sum()),
            "area": layer.site.area,
            **{metric: layer.cost(cost.of) for metric, cost in pruning.COSTS.items()},
        }
        for layer in pruning.hard_pruned(model)
    ]
    return {
        "model": name,
        "image_shape": list(model.image_shape),
        "num_classes": model.num_classes,
        "layers": layers,
        "volume": pruning.volume(model),
        "flops": pruning.flops(model),
        "params": nn.count_parameters(model),
    }


def layer_table(facts: dict) -> Table:
    """`describe` as a table."""
    h, w, c = facts["image_shape"]
    title = f"{facts['model']} on {h}x{w}x{c} images"
    # Narrow, and folded where it still is too wide: no name or number is ever cut short.
    table = Table(title=title, show_footer=True, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("convolution", "all", overflow="fold")
    for heading in ("weight", "area"):
        table.add_column(heading, justify="right", overflow="fold")
    convolutions = sum(layer["params"] for layer in facts["layers"])
    for heading, sum_ in (
        ("volume", facts["volume"]),
        ("FLOPs", facts["flops"]),
        ("parameters", convolutions),
    ):
        table.add_column(heading, f"{sum_:,}", justify="right", overflow="fold")
    for layer in facts["layers"]:
        table.add_row(
            layer["name"],
            "x".join(map(str, (*layer["kernel"], layer["reads"], layer["writes"]))),
            *(f"{layer[key]:,}" for key in ("area", "volume", "flops", "params")),
        )
    table.caption = f"{facts['params']:,} parameters with batch norm and the linear layer"
    return table


def system() -> dict:
    """Processor, BLAS, devices and versions."""
    found = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        "packages": {name: version for name, version in found.items() if version},
        "gpu": gpu_available(),
        **blas.status(),
        "malloc_decision": memory.allocator(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def system_table(facts: dict) -> Table:
    """`system` as a table."""
    table = Table(title="system", show_header=False)
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items())
        table.add_row(key, str(value))
    return table
