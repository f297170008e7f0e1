"""Trained weights from a file into a full network: tinybar's own files, and PyTorch's names.

PyTorch keeps a convolution as (C_out, C_in, KH, KW) and a linear layer as (K, F), and calls gamma
and beta of a batch norm weight and bias. Names, PyTorch's on the left, G and B counted from the
first group (1) and its first block (0), `N` the block's place in the whole network:

    torchvision's ResNet-50, small ResNets with the same names
        conv1  bn1  fc                               stem  stem_bn  linear
        layerG.B.convK  layerG.B.bnK                 blocks.N.convK  blocks.N.bnK
        layerG.B.downsample.0  layerG.B.downsample.1 blocks.N.shortcut  blocks.N.shortcut_bn
    a WideResNet
        conv1  bn1  fc                               stem  bn  linear
        blockG.layer.B.convK  blockG.layer.B.bnK     blocks.N.convK  blocks.N.bnK
        blockG.layer.B.convShortcut                  blocks.N.shortcut

"linear" may stand for "fc", "shortcut" for "downsample", "module." before every name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..runtime.files import read_safetensors
from . import ResidualNetwork, WideResNet

ENDS_WIDE = {"conv1": "stem", "bn1": "bn", "fc": "linear", "linear": "linear"}
ENDS_POST = ENDS_WIDE | {"bn1": "stem_bn"}
BLOCK = re.compile(r"(?:layer(\d+)\.|block(\d+)\.layer\.)(\d+)\.(.+)")
PARTS = {"convShortcut": "shortcut"} | {
    f"{name}.{k}": part
    for name in ("downsample", "shortcut")
    for k, part in enumerate(("shortcut", "shortcut_bn"))
}


def load_weights(model: ResidualNetwork, path: Path) -> None:
    """Fill a network without gates from a file that tinybar or PyTorch's safetensors wrote.

    Raises ValueError, in one line that names the file, for a file that cannot be read, one of
    another network, and for the first name or shape that does not fit.
    """
    arrays, about = read_safetensors(Path(path), "network")
    try:
        if about is None:
            arrays = from_torch(model, arrays)
        elif about.get("network", {}).get("name") != model.name:
            raise ValueError(f"it holds {_content(about)}, not {model.name}")
        elif about["network"]["gated"]:
            raise ValueError("it holds a network with gates, not a full one")
        model.load_state_dict(arrays)
    except ValueError as error:
        raise ValueError(f"{path} does not fit: {error}") from error


def _content(about: Mapping) -> str:
    network = about.get("network")
    if network is None:
        return "no network"
    return network.get("name", "a compact network")


def from_torch(model: ResidualNetwork, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of `model` from arrays with PyTorch's names and layouts.

    Raises ValueError for a name that belongs to no layer.
    """
    names = {name: name.removeprefix("module.") for name in arrays}
    names = {name: short for name, short in names.items() if "num_batches_tracked" not in short}
    starts = _starts(names.values())
    ends = ENDS_WIDE if isinstance(model, WideResNet) else ENDS_POST
    return dict(_converted(name, arrays[full], ends, starts) for full, name in names.items())


def _starts(names) -> dict[int, int]:
    """For every group, the place of its first block in the network."""
    blocks = {(int(m[1] or m[2]), int(m[3])) for m in map(BLOCK.fullmatch, names) if m}
    groups = sorted({group for group, _ in blocks})
    return {group: sum(other < group for other, _ in blocks) for group in groups}


def _converted(
    name: str, array: np.ndarray, ends: Mapping[str, str], starts: Mapping[int, int]
) -> tuple[str, np.ndarray]:
    """(tinybar's name, the array in its layout)."""
    owner, _, kind = name.rpartition(".")
    if found := BLOCK.fullmatch(owner):
        group, block, part = int(found[1] or found[2]), int(found[3]), found[4]
        layer = f"blocks.{starts[group] + block}.{PARTS.get(part, part)}"
    elif owner in ends:
        layer = ends[owner]
    else:
        raise ValueError(f"{name!r} belongs to no layer of the network")
    if layer.rpartition(".")[2].split("_")[-1].startswith("bn"):
        kind = {"weight": "gamma", "bias": "beta"}.get(kind, kind)
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    return f"{layer}.{kind}", array.T if array.ndim == 2 else array
