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

"linear" may stand for "fc", "shortcut" for "downsample", and a prefix such as "module." before
every name. A small ResNet whose shortcuts have no parameters, zeros around the channels of every
second pixel (option A of He et al. 2016a), becomes one whose 1x1 convolutions compute the same.

docs/weights.md says how such a file is made, and what it can say of itself.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..runtime.files import FileError, foreign_metadata, read_safetensors
from . import BatchNorm2d, ResidualNetwork, WideResNet

KINDS = {"gamma": "weight", "beta": "bias"}
ENDS = {"stem": "conv1", "stem_bn": "bn1", "bn": "bn1"}
BLOCKS = "layer{}.{}", "block{}.layer.{}"
IN_BLOCK = re.compile(r"(?:layer|block)(\d+)\.(?:layer\.)?(\d+)\.conv(\d)\.weight$")
SHORTCUTS = (
    {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"},
    {"shortcut": "shortcut.0", "shortcut_bn": "shortcut.1"},
    {"shortcut": "convShortcut"},
)
HEAD = "linear.weight", "linear.bias"
LAYOUTS: dict[int, tuple[int, ...]] = {
    4: (3, 2, 0, 1),
    2: (1, 0),
}  # where PyTorch's axes are among tinybar's


class Weights(NamedTuple):
    """What a file holds for a network.

    state: its arrays by tinybar's names, without those of a head that is for something else.
    other_head: in words, what that head is for; None if the head is the network's.
    statistics: (mean, std), (C,) each, of the images that it was trained on, divided by the largest
    value of a pixel; None if the file does not say.
    """

    state: dict[str, np.ndarray]
    other_head: str | None
    statistics: tuple[list[float], list[float]] | None


def load_weights(
    model: ResidualNetwork, path: Path, classes: Sequence[str] | None = None
) -> Weights:
    """Fill a network without gates from a file that tinybar or PyTorch's safetensors wrote.

    classes: what the outputs mean, to be compared with what a file of tinybar's says of them.
    Where the file's head is for other classes the network keeps its own.
    Raises FileError for a file that cannot be read, one of another network, and for what does not
    fit, by the names that the file has for it.
    """
    arrays, about = read_safetensors(Path(path), "network")
    names = {}
    try:
        if about is None:
            names = torch_names(model, arrays)
            state = from_torch(model, arrays)
            other = _outputs(state, model)
            told = foreign_metadata(path)
        else:
            state, told = arrays, about["data"]
            if (held := _content(about)) != model.name:
                raise ValueError(f"it holds {held}")
            other = None if classes is None else _other_classes(told["classes"], list(classes))
        if other is not None:
            state = {name: array for name, array in state.items() if name not in HEAD}
        model.load_state_dict({name: model.state_dict()[name] for name in HEAD} | state)
        return Weights(state, other, _statistics(told, model.image_shape[2]))
    except (AttributeError, KeyError, TypeError) as error:  # in what the file says of itself
        raise FileError(f"{path} holds no network: {error}") from error
    except ValueError as error:
        name, _, fault = str(error).partition(" ")
        fault = f"{names.get(name, name)} {fault}"
        raise FileError(f"{path} does not fit {model.name}: {fault}") from error


def _content(about: Mapping[str, Any]) -> str:
    network = about["network"]
    if network["kind"] == "compact":
        return "a compact network"
    return network["name"] + " with gates" * network["gated"]


def _outputs(state: Mapping[str, np.ndarray], model: ResidualNetwork) -> str | None:
    if "linear.bias" not in state:
        return "nothing, as it has none"
    (outputs,) = state["linear.bias"].shape
    return None if outputs == model.num_classes else f"{outputs:,} outputs"


def _other_classes(theirs: list[str], classes: list[str]) -> str | None:
    if theirs == classes:
        return None
    if sorted(theirs) == sorted(classes):
        raise ValueError("its classes are the same in another order")
    return f"{len(theirs):,} classes ({', '.join(theirs[:3])}{', ...' * (len(theirs) > 3)})"


def _statistics(told: Mapping[str, Any], channels: int) -> tuple[list[float], list[float]] | None:
    """(mean, std) of a file's own description: lists, or strings of numbers."""
    if not {"mean", "std"} & told.keys():
        return None
    found = []
    for name in ("mean", "std"):
        said = told.get(name, "")
        parts = re.split(r"[\s,]+", said.strip("[]() ")) if isinstance(said, str) else said
        try:
            numbers = [float(part) for part in parts]
        except (ValueError, OverflowError):
            numbers = []
        is_right = all(0 < x < math.inf if name == "std" else 0 <= x <= 1 for x in numbers)
        if len(numbers) != channels or not is_right:
            wanted = "positive numbers" if name == "std" else "numbers in [0, 1]"
            raise ValueError(f"its {name} is {said!r:.60}, expected {channels} {wanted}")
        found.append(numbers)
    return found[0], found[1]


def from_torch(model: ResidualNetwork, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of `model` from arrays with PyTorch's names and layouts.

    The head may be missing, or have another number of outputs. Raises ValueError for a name that is
    missing or belongs to no layer, for another shape, and, if it can tell, with what this is of.
    """
    names, own = torch_names(model, arrays), model.named_arrays()
    stored = {n: a.shape for n, a in arrays.items() if not n.endswith("num_batches_tracked")}
    needless = _needless(model, {name for name in own if names[name] not in stored})
    axes_of = {n: LAYOUTS.get(own[n].ndim, range(own[n].ndim)) for n in own.keys() - needless}
    expected = {names[n]: tuple(own[n].shape[axis] for axis in axes) for n, axes in axes_of.items()}
    if faults := list(_faults(expected, stored)):
        raise ValueError("; ".join(faults))
    weight, bias = (names[name] for name in HEAD)
    if bias in stored and stored[weight] == stored[bias] + expected[weight][1:]:
        expected |= {weight: stored[weight], bias: stored[bias]}  # for any number of outputs
    state = _padding_shortcuts(model) if needless - {*HEAD} else {}
    for name, axes in axes_of.items():
        array, shape = arrays[names[name]], expected[names[name]]
        if array.shape != shape:
            raise ValueError(f"{names[name]} has shape {array.shape}, expected {shape}")
        state[name] = array.transpose(np.argsort(axes))
    return state


def _needless(model: ResidualNetwork, missing: set[str]) -> set[str]:
    """Of the arrays that are missing, those without which a file is still of this network.

    The head as a whole, and the parameters of all shortcuts of a small ResNet.
    """
    head, is_small = {*HEAD}, model.family == "post" and not model.pools
    shortcuts = {name for name in model.named_arrays() if ".shortcut" in name}
    needless = head if head <= missing else set()
    return needless | shortcuts if is_small and missing - head == shortcuts else needless


def _faults(
    expected: Mapping[str, tuple[Any, ...]], stored: Mapping[str, tuple[Any, ...]]
) -> Iterator[str]:
    """What the stored arrays are of, if something else, and which names differ."""
    if (held := _described(stored)) != _described(expected):
        yield f"it holds {held}"
    for what, names in (
        ("missing", expected.keys() - stored.keys()),
        ("unknown", stored.keys() - expected.keys()),
    ):
        if names:
            yield f"{what} {_listed(names)}"


def _described(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What arrays with PyTorch's names and these shapes are of."""
    shapes = {name: shape for name, shape in shapes.items() if IN_BLOCK.search(name) and shape}
    found: list[Any] = [IN_BLOCK.search(name) for name in shapes]
    if not found:
        return "nothing with the names of a residual network"
    of_group: dict[int, set[str]] = {int(match[1]): set() for match in found}
    for match in found:
        of_group[int(match[1])].add(match[2])
    counts, convs = [len(of_group[g]) for g in sorted(of_group)], max(int(m[3]) for m in found)
    blocks = f"{', '.join(map(str, counts))} blocks of {convs} convolutions"
    is_even = len(counts) == 3 == counts.count(counts[0]) and convs == 2
    if not any(".layer." in match[0] for match in found):
        depth = convs * sum(counts) + 2
        return f"resnet-{depth}" if is_even else f"a ResNet-{depth}: {blocks}"
    writes = {n for name, (n, *_) in shapes.items() if name.endswith("1.layer.0.conv1.weight")}
    if not is_even or not writes:
        return f"a WideResNet: {blocks}"
    return f"wrn-{6 * counts[0] + 4}-{writes.pop() // 16}"


def _padding_shortcuts(model: ResidualNetwork) -> dict[str, np.ndarray]:
    """Shortcuts that put what they read in the middle of zeros: (C_out - C_in) / 2 on each side."""
    state = {}
    for k, block in enumerate(model.blocks):
        if block.shortcut is not None:
            _, _, c_in, c_out = block.shortcut.weight.shape
            place, bn = (c_out - c_in) // 2, BatchNorm2d(c_out)
            bn.gamma.data[...] = math.sqrt(1 + bn.eps)  # with mean 0 and variance 1: the identity
            weight = np.eye(c_in, c_out, place, dtype=np.float32)[None, None]
            state[f"blocks.{k}.shortcut.weight"] = weight
            state |= {f"blocks.{k}.shortcut_bn.{n}": a for n, a in bn.state_dict().items()}
    return state


def torch_names(model: ResidualNetwork, stored: Iterable[str]) -> dict[str, str]:
    """{tinybar's name: PyTorch's} of all arrays, spelled as most of the stored names are."""
    stored = {*stored}
    prefix = os.path.commonprefix([*stored]).rpartition(".")
    styles: list[Any] = [BLOCKS, SHORTCUTS, ("fc", "linear"), ("", prefix[0] + prefix[1])]
    if isinstance(model, WideResNet):
        styles[:2] = BLOCKS[::-1], SHORTCUTS[::-1]
    spelled = (dict(_spelled(model, *style)) for style in product(*styles))
    return max(spelled, key=lambda names: len(stored & {*names.values()}))


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
