"""`tinybar info`."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from .completion import models, one_of
from .options import GroupedCommand, json_option

PACKAGES = (
    "tinybar", "numpy", "pillow", "safetensors", "numba", "cupy-cuda12x", "cupy-cuda13x", "mpi4py",
)  # fmt: skip


@click.command(
    "info",
    cls=GroupedCommand,
    short_help="List the convolutions of a network, or describe the system.",
)
@click.argument("model", required=False, shell_complete=one_of(models, "file"))
@click.option("--image-shape", type=int, nargs=3, metavar="H W C", default=(32, 32, 3),
              help="Height, width and channels of the images, for a MODEL by name.  "
              "[default: 32 32 3]")  # fmt: skip
@click.option("--classes", type=int, metavar="N", default=10, show_default=True,
              help="Number of classes, for a MODEL by name.")  # fmt: skip
@json_option
@click.option("--system", is_flag=True,
              help="Describe processors, BLAS, GPUs, versions, and what a GPU lacks.")  # fmt: skip
def command(model, image_shape, classes, as_json, system):
    """List the convolutions of MODEL with their shapes, volumes, FLOPs and parameters.

    MODEL is a name such as wrn-28-12, resnet-20 or resnet50, the folder of a run, or a
    .safetensors file that a run wrote.

    \b
    Examples:
      tinybar info wrn-28-12
      tinybar info runs/tiny --json
      tinybar info --system
    """
    from ..report.tables import layer_table, system_table
    from ..report.terminal import plain_console

    if system == (model is not None):
        raise ValueError("tinybar info needs either a MODEL or --system")
    facts = system_facts() if system else network_facts(model, tuple(image_shape), classes)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        plain_console().print((system_table if system else layer_table)(facts))


def network_facts(name: str, image_shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Every convolution of a network by name, or of a saved one, and the totals."""
    from .. import nn, pruning
    from ..train.evaluate import saved_network

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


def system_facts() -> dict[str, Any]:
    """Versions, processors, memory, BLAS, and all about GPUs: what is there and what is missing."""
    from ..runtime import blas, gpu, memory
    from ..runtime.processors import processors

    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "processors": processors(),
        "memory": memory.of_machine(),
        **blas.status(),
        "malloc_decision": memory.allocator(),
        "gpu": gpu.facts(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
