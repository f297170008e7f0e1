"""From the gated network to the network that is left of it: same function, no dead features."""

from __future__ import annotations

import numpy as np

from .. import backend
from ..autograd import no_grad
from ..nn.blocks import PreActivationBlock
from ..nn.gates import HardConcrete
from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.resnet import CompactResNet, WideResNet
from .liveness import LiveConv, hard_pruned

Arrays = dict[str, np.ndarray]


def compact(model: WideResNet) -> CompactResNet:
    """A new network of mixed-connectivity blocks without dead features, in evaluation mode.

    It computes what `model` computes in evaluation mode, to rounding: the gates' values at their
    mean noise are multiplied into the weights. A block that lost a whole convolution is removed;
    of a pooling block the shortcut stays. Dtype and device are the model's.
    Raises TypeError for a network that is compact already.
    """
    if isinstance(model, CompactResNet):
        raise TypeError("this network is compact already")
    live = {layer.site.name: layer for layer in hard_pruned(model)}
    signals = _signals(live)
    now = signals[live["stem"].site.signal[0].name]  # the features of the signal we are in

    layout = {
        "image_shape": list(model.image_shape),
        "num_classes": model.num_classes,
        "stem": {"width": len(now), "writes": _places(live["stem"].writes, now)},
        "blocks": [],
    }
    state = _conv("stem", model.stem, live["stem"], model.stem_gate)
    for k, block in enumerate(model.blocks):
        layers = {name: live[f"blocks.{k}.{name}"] for name in ("conv1", "conv2")}
        if block.shortcut is not None:
            layers["shortcut"] = live[f"blocks.{k}.shortcut"]
        before = now
        now = signals[layers["conv2"].site.signal[0].name]
        if block.shortcut is None and not layers["conv2"].writes.any():
            continue  # automatic depth determination (Section 4.1): the signal passes unchanged
        prefix = f"blocks.{len(layout['blocks'])}."
        layout["blocks"].append(_arguments(block, layers, before, now))
        state |= {prefix + name: array for name, array in _block(block, layers).items()}
    state |= _batch_norm("bn", model.bn, now)
    state |= {"linear.weight": _host(model.linear.weight)[now]}
    state |= {"linear.bias": _host(model.linear.bias)}

    small = CompactResNet(layout).astype(model.stem.weight.dtype).eval()
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


def _arguments(
    block: PreActivationBlock, layers: dict[str, LiveConv], before: np.ndarray, now: np.ndarray
) -> dict:
    """The MixedBlock's arguments. before, now: the features of the signals it reads and writes."""
    shortcut = layers.get("shortcut")
    writes = layers["conv2"].writes
    return {
        "width": len(now),
        "reads": _places(layers["conv1"].reads, before),
        "inner": int(layers["conv1"].writes.sum()),
        "writes": _places(writes, now),
        "stride": block.stride,
        "shortcut": None if shortcut is None else _places(shortcut.writes, now),
    }


def _block(block: PreActivationBlock, layers: dict[str, LiveConv]) -> Arrays:
    """The MixedBlock's arrays."""
    state = _batch_norm("bn1", block.bn1, np.flatnonzero(layers["conv1"].reads))
    if "shortcut" in layers:
        state |= _conv("shortcut", block.shortcut, layers["shortcut"], block.shortcut_gate)
    if layers["conv2"].writes.any():
        inner = np.flatnonzero(layers["conv1"].writes)
        state |= _conv("conv1", block.conv1, layers["conv1"])
        state |= _batch_norm("bn2", block.bn2, inner, block.gate1)
        state |= _conv("conv2", block.conv2, layers["conv2"], block.gate2)
    return state


def _conv(name: str, conv: Conv2d, layer: LiveConv, gate: HardConcrete | None = None) -> Arrays:
    """The weight of what is read and written, times the gate on what is written."""
    weight = _host(conv.weight)[:, :, layer.reads][..., layer.writes]
    return {f"{name}.weight": weight * _values(gate, layer.writes)}


def _batch_norm(
    name: str, bn: BatchNorm2d, features: np.ndarray, gate: HardConcrete | None = None
) -> Arrays:
    """The features' entries, scaled by the gate behind the ReLU that follows."""
    z = _values(gate, features)
    return {
        f"{name}.gamma": _host(bn.gamma)[features] * z,
        f"{name}.beta": _host(bn.beta)[features] * z,
        f"{name}.running_mean": _host(bn.running_mean)[features],
        f"{name}.running_var": _host(bn.running_var)[features],
    }


def _values(gate: HardConcrete | None, features: np.ndarray) -> np.ndarray | int:
    """z of the chosen features at mean noise; 1 where there is no gate."""
    if gate is None:
        return 1
    with no_grad():
        return _host(gate.at_mean_noise())[features]


def _host(array) -> np.ndarray:
    return backend.to_numpy(getattr(array, "data", array))
