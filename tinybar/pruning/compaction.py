"""From the gated network to the compact one: the same function without dead channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..nn.gates import Gate
from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.networks import compact_network
from ..nn.networks.live import LIVE, either
from ..nn.networks.residual import Block, CompactNetwork, ResidualNetwork
from ..runtime.arrays import to_numpy
from .connectivity import check_connectivity, regular
from .structure import LiveConv, hard_pruned, sites

Arrays = dict[str, np.ndarray]
Live = dict[Conv2d, LiveConv]  # the live channels of every convolution


def compact(model: ResidualNetwork, connectivity: str = "mixed") -> CompactNetwork:
    """A new network of mixed-connectivity blocks without dead channels, in evaluation mode.

    It computes what `model` computes in evaluation mode, up to rounding: the gates' values at their
    mean noise are multiplied into the weights. A block that lost a whole convolution is removed;
    of a pooling block the shortcut stays. Dtype and device are the model's.

    connectivity: "regular" for what it would take without mixed-connectivity blocks (Table 2): all
    tensors of a residual sum have the union of their live channels. The function is the same; the
    channels that are computed for nothing have weights of zero.
    Raises TypeError for a network that is compact already, ValueError for another connectivity.
    """
    if isinstance(model, CompactNetwork):
        raise TypeError("this network is compact already")
    check_connectivity(connectivity)
    layers = hard_pruned(model)
    masks = _masks(model, layers)
    if connectivity == "regular":
        layers = regular(layers)
    live = {layer.site.conv: layer for layer in layers}
    blocks = [block for block in model.blocks if _is_left(block, live)]
    small = compact_network(layout_of(model, blocks, live)).astype(model.stem.weight.dtype)
    small.load_state_dict(_state(small, model, blocks, live, masks))
    return small.eval()


def _is_left(block: Block, live: Live) -> bool:
    """Whether it does anything (automatic depth determination, Section 4.1)."""
    return block.shortcut is not None or bool(_delta(block, live).writes.any())


def _delta(block: Block, live: Live) -> LiveConv:
    """The last convolution of the block's path."""
    return live[block.path()[-1].conv]


def _signal(layer: LiveConv, live: Live) -> np.ndarray:
    """Indices of the channels that ever exist in the residual signal to which the layer writes."""
    signal = layer.site.signal
    written = [other.writes for other in live.values() if other.site.signal == signal]
    return np.flatnonzero(np.logical_or.reduce(written))


# --- the structure -------------------------------------------------------------------------------


def layout_of(model: ResidualNetwork, blocks: list[Block], live: Live) -> dict[str, Any]:
    """That of the compact network, see `CompactNetwork`. blocks: those that are left."""
    stem = live[model.stem]
    now = _signal(stem, live)
    layout: dict[str, Any] = {
        "family": model.family,
        "pools": model.pools,
        "image_shape": list(model.image_shape),
        "num_classes": model.num_classes,
        "stem": {"width": len(now), "writes": _places(stem.writes, now)},
        "blocks": [],
    }
    for block in blocks:
        before, now = now, _signal(_delta(block, live), live)
        layout["blocks"].append(_arguments(block, live, before, now))
    return layout


def _arguments(block: Block, live: Live, before: np.ndarray, now: np.ndarray) -> dict[str, Any]:
    """The compact block's. before, now: channels of the residual signals that it reads, writes."""
    path = [live[step.conv] for step in block.path()]
    inner = [int(layer.writes.sum()) for layer in path[:-1]]
    shortcut = None if block.shortcut is None else live[block.shortcut].writes
    return {
        "width": len(now),
        "reads": _places(path[0].reads, before),
        "inner": inner if path[-1].writes.any() else [],
        "writes": _places(path[-1].writes, now),
        "stride": block.stride,
        "shortcut": None if shortcut is None else _places(shortcut, now),
    }


def _places(channels: np.ndarray, signal: np.ndarray) -> list[int]:
    """Where the chosen channels (booleans over all) stand among those that exist in the signal."""
    return np.flatnonzero(channels[signal]).tolist()


# --- the arrays ----------------------------------------------------------------------------------


def _state(
    small: CompactNetwork,
    model: ResidualNetwork,
    blocks: list[Block],
    live: Live,
    masks: dict[BatchNorm2d, np.ndarray],
) -> Arrays:
    """What the compact network computes with.

    blocks: those of the model that are left in it. masks: as `_masks`. A channel that a block reads
    with regular connectivity alone has not been written yet; its mask is 0.
    """
    name_of: dict[Any, str] = {module: name for name, module in small.named_modules()}
    state: Arrays = {}
    computed = [layer for layer in live.values() if layer.writes.any()]
    for site, layer in zip(sites(small), computed, strict=True):
        state |= _conv(name_of[site.conv], name_of.get(site.bn), layer)
    for to, block in zip(small.blocks, blocks, strict=True):
        if block.reading_bn is not None:
            bn, reads = block.reading_bn, live[block.path()[0].conv].reads
            state |= _batch_norm(name_of[to.reading_bn], bn, reads, masks[bn])

    last = _signal(_delta(model.blocks[-1], live), live)
    if model.bn is not None:
        state |= _batch_norm(name_of[small.bn], model.bn, last, masks[model.bn])
    state |= {"linear.weight": _host(model.linear.weight)[last]}
    return state | {"linear.bias": _host(model.linear.bias)}


def _masks(model: ResidualNetwork, layers: list[LiveConv]) -> dict[BatchNorm2d, np.ndarray]:
    """`live` at mean noise, (C,), for every batch norm that reads a residual signal."""
    masks, layer_of = {}, {layer.site: layer for layer in layers}
    first = {layer.site.conv: layer.site for layer in layers}
    for block in model.blocks:
        if block.reading_bn is not None:
            writers = first[block.path()[0].conv].reads
            masks[block.reading_bn] = _mask(model, [layer_of[site] for site in writers])
    if model.bn is not None:
        last = layers[-1].site.signal
        masks[model.bn] = _mask(model, [each for each in layers if each.site.signal == last])
    return masks


def _mask(model: ResidualNetwork, writers: list[LiveConv]) -> np.ndarray:
    """`live` of a signal that these have written; a dead path has written nothing."""
    live = np.zeros(len(writers[0].writes))
    for layer in writers:
        written = layer.writes
        if layer.site.gate is not None:
            with no_grad():
                written = written * _host(LIVE[model.live](layer.site.gate.mean()))
        live = either(live, written)
    return live


def _conv(name: str, bn_name: str | None, layer: LiveConv) -> Arrays:
    """The weight of what is read and written, and the batch norm behind it, if there is one.

    The gate is multiplied into the batch norm, else into the weight; a ReLU between batch norm and
    gate does not matter, as z >= 0.
    """
    site, z = layer.site, _z(layer.site.gate)
    weight = _host(site.conv.weight)[:, :, layer.reads][..., layer.writes]
    if site.bn is not None:
        state = _batch_norm(bn_name, site.bn, layer.writes, z)
        return state | {f"{name}.weight": weight}
    return {f"{name}.weight": weight if z is None else weight * z[layer.writes]}


def _batch_norm(
    name: str | None, bn: BatchNorm2d, channels: np.ndarray, z: np.ndarray | None = None
) -> Arrays:
    """The chosen channels' entries, times z: (C,) behind the batch norm, or None."""
    scale = 1 if z is None else z[channels]
    return {
        f"{name}.gamma": _host(bn.gamma)[channels] * scale,
        f"{name}.beta": _host(bn.beta)[channels] * scale,
        f"{name}.running_mean": _host(bn.running_mean)[channels],
        f"{name}.running_var": _host(bn.running_var)[channels],
    }


def _z(gate: Gate | None) -> np.ndarray | None:
    """z at mean noise; None where there is no gate."""
    if gate is None:
        return None
    with no_grad():
        return _host(gate.mean())


def _host(array) -> np.ndarray:
    return to_numpy(array.data if isinstance(array, Tensor) else array)
