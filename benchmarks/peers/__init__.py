"""Other frameworks as engines of `tinybar bench`: one module for each, imported in its process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinybar.bench.case import Case
from tinybar.bench.engines import UNTOUCHED, Engine, add_engine

FOLDER = Path(__file__).parents[1]  # peers is a package of it

PEERS = {
    "torch": Engine(
        "peers.torch_peer", FOLDER, ("torch",), environ=UNTOUCHED,
        networks=("small", "plain", "gated"),
    ),
    "autograd": Engine(
        "peers.autograd_peer", FOLDER, ("autograd",), environ=UNTOUCHED, networks=("small",)
    ),
    "tinygrad": Engine(
        "peers.tinygrad_peer", FOLDER, ("tinygrad",), ("clang",), UNTOUCHED, ("small",)
    ),
}  # fmt: skip


def register() -> None:
    """Add PyTorch, HIPS autograd and tinygrad to the engines of `tinybar bench`."""
    for name, engine in PEERS.items():
        add_engine(name, engine)


def small_weights(case: Case) -> list[np.ndarray]:
    """Weight and bias of every layer of the case's SmallNet, in order, as tinybar lays them out."""
    model = case.build()
    layers = (*model.convs, model.linear)
    return [array for layer in layers for array in (layer.weight.data, layer.bias.data)]
