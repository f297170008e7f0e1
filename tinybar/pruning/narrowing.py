"""From a network to a narrower one of the same architecture, its weights rewritten (Section 5.1).

All widths are scaled alike, and what writes to one residual signal keeps the same channels: regular
connectivity, with which mixed-connectivity blocks compute nothing less. So V falls by 1/s, and the
FLOPs by about 1/s^2.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.module import Module
from ..nn.networks import compact_network
from ..nn.networks.residual import CompactNetwork, ResidualNetwork
from .compaction import layout_of
from .cost import Cost
from .enforce import BudgetError
from .structure import Site, hard_pruned


class Change(NamedTuple):
    """How n channels take the place of C, as linear maps.

    left: (C, n), from the old channels' parameters to the new ones': W left.
    right: (n, C), how what reads the old channels reads the new ones: right W.
    """

    left: np.ndarray
    right: np.ndarray


Chooser = Callable[[np.ndarray, int], Change]  # of the filters (features, C), and n


def kept(channels: np.ndarray, count: int) -> Change:
    """Of `count` channels those with these indices, unchanged, in ascending order."""
    left = np.eye(count)[:, np.sort(channels)]
    return Change(left, left.T)


# --- widths ---------------------------------------------------------------------------------------


def share_kept(share: float) -> Callable[[Site], np.ndarray]:
    """Of a site: (C_out,) booleans, that share of its channels and at least one."""
    return lambda site: np.arange(site.conv.c_out) < max(1, round(share * site.conv.c_out))


def one_channel_each(cost: Cost, model: ResidualNetwork) -> int:
    """The least cost of uniform widths."""
    return cost.exact(model, alive=share_kept(0))


def uniform(model: ResidualNetwork, cost: Cost, budget: float) -> CompactNetwork:
    """A network with random weights and the same share of the channels of every convolution.

    model: a full network, of whose dtype it is. The share is the largest whose cost is at most
    `budget`. Raises BudgetError if even one channel in every convolution costs more.
    """
    if (least := one_channel_each(cost, model)) > budget:
        raise BudgetError(f"one channel in every convolution costs {least:,}, above {budget:,.0f}")
    quarters = 4 * max(layer.site.conv.c_out for layer in hard_pruned(model))
    lowest, highest = 0, quarters  # quarters of a channel of the widest layer
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        fits = cost.exact(model, alive=share_kept(middle / quarters)) <= budget
        lowest, highest = (middle, highest) if fits else (lowest, middle - 1)
    layers = hard_pruned(model, share_kept(lowest / quarters))
    layout = layout_of(model, model.blocks, {layer.site.conv: layer for layer in layers})
    return compact_network(layout).astype(model.stem.weight.dtype)


# --- weights --------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Channels that live and die together: a residual signal's, or those of a conv inside a path.

    writers: convolutions whose outputs they are, or are the sum of. norms: the batch norms of these
    channels, behind what writes them or before what reads them. readers: convolutions, or the
    linear layer.
    """

    writers: list[Conv2d]
    norms: list[BatchNorm2d]
    readers: list[Module]


def groups(model: ResidualNetwork) -> list[Group]:
    """The groups of a plain network, full or of uniform widths, in the order of computation."""
    signal = Group([model.stem], [model.stem_bn], [])
    found = [signal]
    for block in model.blocks:
        path = block.path()
        signal.norms.append(block.reading_bn)
        signal.readers.append(path[0].conv)
        if block.shortcut is not None:
            signal.readers.append(block.shortcut)
            signal = Group([block.shortcut], [block.shortcut_bn], [])
            found.append(signal)
        found += [Group([step.conv], [step.bn], [after.conv]) for step, after in pairwise(path)]
        signal.writers.append(path[-1].conv)
        signal.norms.append(path[-1].bn)
    signal.norms.append(model.bn)
    signal.readers.append(model.linear)
    return [Group(writers, [bn for bn in norms if bn], to) for writers, norms, to in found]


def narrow(model: ResidualNetwork, to: CompactNetwork, choose: Chooser) -> CompactNetwork:
    """Overwrite `to`, a network of uniform widths, with what `choose` makes of the model's arrays.

    choose: of the filters of a group (features, C), those of its writers above one another, and the
    number of channels in `to`. It sees the model's filters as they are, in float64, whatever
    becomes of what they read. Batch norm's entries are mapped as the filters are: its running
    statistics are a guess, that training, or `nn.recompute_statistics`, replaces.
    """
    name_of = {module: name for name, module in model.named_modules()}
    before = {name: array.astype(np.float64) for name, array in model.state_dict().items()}
    widths, after = to.named_arrays(), dict(before)
    for writers, norms, readers in groups(model):
        names = [f"{name_of[conv]}.weight" for conv in writers]
        filters = [before[name].reshape(-1, before[name].shape[-1]) for name in names]
        change = choose(np.concatenate(filters), widths[names[0]].shape[-1])
        names += [f"{name_of[bn]}.{entry}" for bn in norms for entry in ENTRIES]
        after |= {name: after[name] @ change.left for name in names}
        names = [f"{name_of[layer]}.weight" for layer in readers]
        after |= {name: change.right @ after[name] for name in names}
    to.load_state_dict(after)
    return to.eval()


ENTRIES = "gamma", "beta", "running_mean", "running_var"
