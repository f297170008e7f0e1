"""From the gated network to the network that is left of it: same function, no dead features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import backend
from ..autograd import no_grad
from ..nn.blocks import PreActivationBlock
from ..nn.gates import HardConcrete
from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.networks import compact_network
from ..nn.residual import CompactNetwork, ResidualNetwork
from ..nn.resnet import PostActivationBlock, ResNet
from .liveness import LiveConv, hard_pruned

Arrays = dict[str, np.ndarray]


class Signals(NamedTuple):
    """Features of the residual signals around a block, as indices into the full network's.

    before: those of the signal that it reads from. after: of the one that it writes to.
    exists: booleans over all features of `before`, those that are not zero when the block reads.
    """

    before: np.ndarray
    after: np.ndarray
    exists: np.ndarray


def compact(model: ResidualNetwork, connectivity: str = "mixed") -> CompactNetwork:
    """A new network of mixed-connectivity blocks without dead features, in evaluation mode.

    It computes what `model` computes in evaluation mode, to rounding: the gates' values at their
    mean noise are multiplied into the weights. A block that lost a whole convolution is removed;
    of a pooling block the shortcut stays. Dtype and device are the model's.

    connectivity: "regular" for what it would take without mixed-connectivity blocks (Table 2): all
    tensors of a residual sum have the union of their live features. The function is the same; the
    features that are computed for nothing have weights of zero.
    Raises TypeError for a network that is compact already, ValueError for another connectivity.
    """
    if isinstance(model, CompactNetwork):
        raise TypeError("this network is compact already")
    live = {layer.site.name: layer for layer in hard_pruned(model, connectivity)}
    exists = {layer.site.name: layer.reads for layer in hard_pruned(model)}
    arguments_of, state_of = FAMILIES[type(model.blocks[0])]
    signals = _signals(live)
    now = signals[live["stem"].site.signal[0].name]  # the features of the signal we are in

    stem = {"width": len(now), "writes": _places(live["stem"].writes, now)}
    shape = {"image_shape": list(model.image_shape), "num_classes": model.num_classes}
    layout, state = shape | {"stem": stem, "blocks": []}, {}
    for k, block in enumerate(model.blocks):
        prefix, path = f"blocks.{k}.", block.path()
        names = [step.name for step in path] + ["shortcut"] * (block.shortcut is not None)
        layers = {name: live[prefix + name] for name in names}
        last = layers[path[-1].name]
        around = Signals(now, signals[last.site.signal[0].name], exists[prefix + path[0].name])
        now = around.after
        if block.shortcut is None and not last.writes.any():
            continue  # automatic depth determination (Section 4.1): the signal passes unchanged
        prefix = f"blocks.{len(layout['blocks'])}."
        layout["blocks"].append(arguments_of(block, layers, around))
        arrays = state_of(block, layers, around)
        state |= {prefix + name: array for name, array in arrays.items()}
    state |= _ends(model, live["stem"], now)
    if isinstance(model, ResNet):
        layout |= {"family": "post", "pools": model.pools}

    small = compact_network(layout).astype(model.stem.weight.dtype).eval()
    small.load_state_dict(state)
    return small


def _signals(live: dict[str, LiveConv]) -> dict[str, np.ndarray]:
    """For the site that begins each residual signal: the features that ever exist in it."""
    signals = {}
    for layer in live.values():
        summed = layer.site.signal
        if summed is not None and summed[0] is layer.site:
            exists = np.logical_or.reduce([live[site.name].writes for site in summed])
            signals[layer.site.name] = np.flatnonzero(exists)
    return signals


def _places(features: np.ndarray, signal: np.ndarray) -> list[int]:
    """Where the chosen features (booleans over all) stand among those that exist in the signal."""
    return np.flatnonzero(features[signal]).tolist()


# --- blocks --------------------------------------------------------------------------------------


def _shared_arguments(block, layers: dict[str, LiveConv], around: Signals) -> dict:
    """What the compact blocks of both families are made with, but for `inner`."""
    last, shortcut = layers[block.path()[-1].name], layers.get("shortcut")
    return {
        "width": len(around.after),
        "reads": _places(layers["conv1"].reads, around.before),
        "writes": _places(last.writes, around.after),
        "stride": block.stride,
        "shortcut": None if shortcut is None else _places(shortcut.writes, around.after),
    }


def _pre_activation_arguments(block, layers, around) -> dict:
    inner = int(layers["conv1"].writes.sum())
    return _shared_arguments(block, layers, around) | {"inner": inner}


def _pre_activation_state(
    block: PreActivationBlock, layers: dict[str, LiveConv], around: Signals
) -> Arrays:
    """The MixedBlock's arrays. A gate inside goes to the batch norm behind, others to weights.

    What is read but does not exist yet (in regular connectivity) is zero behind bn1, too.
    """
    reads, live = np.flatnonzero(layers["conv1"].reads), around.exists.astype(float)
    state = _batch_norm("bn1", block.bn1, reads, live)
    if "shortcut" in layers:
        state |= _conv("shortcut", block.shortcut, layers["shortcut"], _z(block.shortcut_gate))
    if layers["conv2"].writes.any():
        inner = np.flatnonzero(layers["conv1"].writes)
        state |= _conv("conv1", block.conv1, layers["conv1"])
        state |= _batch_norm("bn2", block.bn2, inner, _z(block.gate1))
        state |= _conv("conv2", block.conv2, layers["conv2"], _z(block.gate2))
    return state


def _post_activation_arguments(block, layers, around) -> dict:
    inner = [int(layers[step.name].writes.sum()) for step in block.path()[:-1]]
    return _shared_arguments(block, layers, around) | {"inner": inner if all(inner) else []}


def _post_activation_state(
    block: PostActivationBlock, layers: dict[str, LiveConv], around: Signals
) -> Arrays:
    """The MixedPostActivationBlock's arrays. Every gate goes to the batch norm before it."""
    state, path = {}, block.path()
    if "shortcut" in layers:
        layer, z = layers["shortcut"], _z(block.shortcut_gate)
        state |= _conv("shortcut", block.shortcut, layer)
        state |= _batch_norm("shortcut_bn", block.shortcut_bn, np.flatnonzero(layer.writes), z)
    if layers[path[-1].name].writes.any():
        for k, step in enumerate(path, 1):
            layer = layers[step.name]
            state |= _conv(step.name, step.conv, layer)
            state |= _batch_norm(f"bn{k}", step.bn, np.flatnonzero(layer.writes), _z(step.gate))
    return state


FAMILIES = {
    PreActivationBlock: (_pre_activation_arguments, _pre_activation_state),
    PostActivationBlock: (_post_activation_arguments, _post_activation_state),
}


def _ends(model: ResidualNetwork, stem: LiveConv, last: np.ndarray) -> Arrays:
    """The arrays of the stem and of what follows the last block. last: features of its signal."""
    state = {"linear.weight": _host(model.linear.weight)[last]}
    state |= {"linear.bias": _host(model.linear.bias)}
    if isinstance(model, ResNet):
        writes, z = np.flatnonzero(stem.writes), _z(model.stem_gate)
        state |= _conv("stem", model.stem, stem)
        return state | _batch_norm("stem_bn", model.stem_bn, writes, z)
    state |= _conv("stem", model.stem, stem, _z(model.stem_gate))
    return state | _batch_norm("bn", model.bn, last)


# --- arrays --------------------------------------------------------------------------------------


def _conv(name: str, conv: Conv2d, layer: LiveConv, z: np.ndarray | None = None) -> Arrays:
    """The weight of what is read and written, times z: (C_out,) on what is written, or None."""
    weight = _host(conv.weight)[:, :, layer.reads][..., layer.writes]
    return {f"{name}.weight": weight if z is None else weight * z[layer.writes]}


def _batch_norm(
    name: str, bn: BatchNorm2d, features: np.ndarray, z: np.ndarray | None = None
) -> Arrays:
    """The features' entries, times z: (C,) behind the batch norm, or None."""
    z = 1 if z is None else z[features]
    return {
        f"{name}.gamma": _host(bn.gamma)[features] * z,
        f"{name}.beta": _host(bn.beta)[features] * z,
        f"{name}.running_mean": _host(bn.running_mean)[features],
        f"{name}.running_var": _host(bn.running_var)[features],
    }


def _z(gate: HardConcrete | None) -> np.ndarray | None:
    """z at mean noise; None where there is no gate."""
    if gate is None:
        return None
    with no_grad():
        return _host(gate.at_mean_noise())


def _host(array) -> np.ndarray:
    return backend.to_numpy(getattr(array, "data", array))
