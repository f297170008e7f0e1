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

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from ..runtime.files import FileError, read_safetensors
from . import ResidualNetwork, WideResNet

KINDS = {"gamma": "weight", "beta": "bias"}
ENDS = {"stem": "conv1", "stem_bn": "bn1", "bn": "bn1"}
BLOCKS = "layer{}.{}", "block{}.layer.{}"
SHORTCUTS = (
    {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"},
    {"shortcut": "shortcut.0", "shortcut_bn": "shortcut.1"},
    {"shortcut": "convShortcut"},
)
LAYOUTS = {4: (3, 2, 0, 1), 2: (1, 0)}  # where PyTorch's axes are among tinybar's


def load_weights(model: ResidualNetwork, path: Path, classes: Sequence[str] | None = None) -> None:
    """Fill a network without gates from a file that tinybar or PyTorch's safetensors wrote.

    classes: what the outputs mean, to be compared with what a file of tinybar's says of them.
    Raises FileError for a file that cannot be read, one of another network, and for what does not
    fit, by the names that the file has for it.
    """
    arrays, about = read_safetensors(Path(path), "network")
    names = {}
    try:
        if about is None:
            names = torch_names(model, arrays)
            arrays = from_torch(model, arrays)
        elif (held := _content(about)) != model.name:
            raise ValueError(f"it holds {held}")
        elif classes is not None and about["data"]["classes"] != list(classes):
            raise ValueError("its classes are others, or in another order")
        model.load_state_dict(arrays)
    except (KeyError, TypeError) as error:  # in what the file says of itself
        raise FileError(f"{path} holds no network: {error}") from error
    except ValueError as error:
        name, _, fault = str(error).partition(" ")
        fault = f"{names.get(name, name)} {fault}"
        raise FileError(f"{path} does not fit {model.name}: {fault}") from error


def _content(about: Mapping) -> str:
    network = about["network"]
    if network["kind"] == "compact":
        return "a compact network"
    return network["name"] + " with gates" * network["gated"]


def from_torch(model: ResidualNetwork, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of `model` from arrays with PyTorch's names and layouts.

    Raises ValueError for a name that is missing or belongs to no layer, and for another shape.
    """
    names = torch_names(model, arrays)
    stored = {name for name in arrays if not name.endswith("num_batches_tracked")}
    expected = {*names.values()}
    faults = ("missing", expected - stored), ("unknown", stored - expected)
    faults = [f"{what} {_listed(names)}" for what, names in faults if names]
    if faults:
        raise ValueError("; ".join(faults))
    state = {}
    for name, own in model.named_arrays().items():
        array, axes = arrays[names[name]], LAYOUTS.get(own.ndim, range(own.ndim))
        expected = tuple(own.shape[axis] for axis in axes)
        if array.shape != expected:
            raise ValueError(f"{names[name]} has shape {array.shape}, expected {expected}")
        state[name] = array.transpose(np.argsort(axes))
    return state


def torch_names(model: ResidualNetwork, stored: Iterable[str]) -> dict[str, str]:
    """{tinybar's name: PyTorch's} of all arrays, spelled as most of the stored names are."""
    styles = [BLOCKS, SHORTCUTS, ("fc", "linear"), ("", "module.")]
    if isinstance(model, WideResNet):
        styles[:2] = BLOCKS[::-1], SHORTCUTS[::-1]
    spelled = (dict(_spelled(model, *style)) for style in product(*styles))
    return max(spelled, key=lambda names: len({*stored} & {*names.values()}))


def _spelled(
    model: ResidualNetwork, block: str, shortcut: Mapping[str, str], head: str, prefix: str
) -> Iterator[tuple[str, str]]:
    starts = [k for k, b in enumerate(model.blocks) if k == 0 or b.shortcut is not None]
    ends = ENDS | {"linear": head}
    for name in model.named_arrays():
        owner, _, kind = name.rpartition(".")
        if owner in ends:
            theirs = ends[owner]
        else:
            _, k, part = owner.split(".")
            group = bisect(starts, int(k))
            place = block.format(group, int(k) - starts[group - 1])
            theirs = f"{place}.{shortcut.get(part, part)}"
        yield name, f"{prefix}{theirs}.{KINDS.get(kind, kind)}"


def _listed(names: Iterable[str]) -> str:
    first, *more = sorted(names)
    return f"{first!r} and {len(more)} more" if more else repr(first)
