"""Which channels the hard-pruned network computes: what every count and compaction is made from.

`sites` lists the convolutions of a network, each with what it reads and where it writes;
`hard_pruned` tells which of their channels are live, from the gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..nn.gates import Gate
from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.networks.residual import CompactNetwork, GatedConv, ResidualNetwork, output_size


@dataclass(frozen=True, eq=False)
class Site:
    """A convolution in its place in a network.

    bn, gate: of its output, if there are any. size: (H, W) of its input.
    reads: the sites whose outputs are summed to what it reads; () if it reads the image, or (in a
    compact network) exactly its own input channels.
    path: the name of the stem, shortcut or delta that it belongs to. If one convolution of a path
    is dead, all are.
    signal: the number of the residual signal that it writes to, or None inside a path.
    """

    name: str
    conv: Conv2d
    bn: BatchNorm2d | None
    gate: Gate | None
    size: tuple[int, int]
    reads: tuple[Site, ...]
    path: str
    signal: int | None

    @cached_property
    def output_size(self) -> tuple[int, int]:
        """(H, W) of its output."""
        return output_size(self.conv, self.size)

    @cached_property
    def area(self) -> int:
        """H W of its output."""
        return math.prod(self.output_size)


def sites(model: ResidualNetwork) -> list[Site]:
    """Every convolution of the model, in the order of computation."""
    is_compact = isinstance(model, CompactNetwork)  # its convolutions read all that they could
    stem = GatedConv("stem", model.stem, model.stem_bn, model.stem_gate)
    found = [Site(*stem, model.image_shape[:2], (), "stem", signal=0)]
    size, signal = model.signal_size(), 0
    for k, block in enumerate(model.blocks):
        name = f"blocks.{k}"
        writers = () if is_compact else tuple(site for site in found if site.signal == signal)
        if block.shortcut is not None:
            signal += 1
            parts = f"{name}.shortcut", block.shortcut, block.shortcut_bn, block.shortcut_gate
            found.append(Site(*parts, size, writers, f"{name}.shortcut", signal))
        steps, reads, inner_size = block.path(), writers, size
        for step in steps:
            writes_to = signal if step is steps[-1] else None
            site = Site(f"{name}.{step.name}", *step[1:], inner_size, reads, name, writes_to)
            found.append(site)
            reads, inner_size = () if is_compact else (site,), site.output_size
        if steps or block.shortcut is not None:
            size = found[-1].output_size
    return found


class LiveConv(NamedTuple):
    """A convolution of the hard-pruned network: the live channels that it reads and writes.

    reads: (C_in,) booleans, writes: (C_out,) booleans.
    """

    site: Site
    reads: np.ndarray
    writes: np.ndarray

    def cost(self, of: Callable[..., Any]) -> int:
        """of: a function of (site, reads, writes), for numbers of channels."""
        return of(self.site, int(self.reads.sum()), int(self.writes.sum()))


def gate_alive(site: Site) -> np.ndarray:
    """(C_out,) booleans: what the gate lets through at its mean noise; all without a gate."""
    return all_open(site) if site.gate is None else site.gate.alive()


def all_open(site: Site) -> np.ndarray:
    """(C_out,) booleans, all true."""
    return np.ones(site.conv.c_out, bool)


def fewest(site: Site) -> np.ndarray:
    """(C_out,) booleans of the smallest network: one channel where none would be fatal."""
    alive = all_open(site)
    if site.gate is not None:
        alive[int(site.gate.keep_one) :] = False
    return alive


def hard_pruned(
    model: ResidualNetwork, alive: Callable[[Site], np.ndarray] = gate_alive
) -> list[LiveConv]:
    """The convolutions of the hard-pruned network, dead ones included with nothing to write.

    A convolution computes its own live channels, and reads those of the residual signal.
    alive: (C_out,) booleans of a site, the channels that its gate lets through.
    """
    return pruned(sites(model), alive)


def pruned(found: list[Site], alive: Callable[[Site], np.ndarray]) -> list[LiveConv]:
    """`hard_pruned`, of the sites of a network."""
    is_open = {site: alive(site) for site in found}
    is_alive = dict.fromkeys((site.path for site in found), True)
    for site in found:
        is_alive[site.path] &= bool(is_open[site].any())
    writes = {site: is_open[site] & is_alive[site.path] for site in found}
    return [LiveConv(site, _union(site, writes), writes[site]) for site in found]


def _union(site: Site, written: dict[Site, np.ndarray]) -> np.ndarray:
    """(C_in,) booleans: the channels that it reads of what is written; all, if it reads no site."""
    if not site.reads:
        return np.ones(site.conv.c_in, bool)
    return np.logical_or.reduce([written[source] for source in site.reads])
