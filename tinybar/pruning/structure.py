"""Which features the hard-pruned network computes: the structure behind every count and compaction.

A network is listed as its convolutions (`sites`), each with what it reads and where it writes. From
the gates follows which of them are alive (`hard_pruned`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..nn.gates import HardConcrete
from ..nn.layers import BatchNorm2d, Conv2d
from ..nn.networks.residual import CompactNetwork, ResidualNetwork, output_size

CONNECTIVITIES = ("mixed", "regular")


@dataclass(eq=False)
class Site:
    """One convolution of a network.

    bn: the batch norm of its output, if that has one. size: (H, W) of its input; area: H W of its
    output. reads: the sites whose outputs are summed to what it reads; () if it reads the image, or
    (in a compact network) exactly its own input channels.
    path: the sites of the delta that it belongs to, itself among them; all must be alive.
    signal: the sites summed to the residual signal that it writes to, or None inside a path.
    """

    name: str
    conv: Conv2d
    gate: HardConcrete | None
    bn: BatchNorm2d | None
    size: tuple[int, int]
    reads: tuple[Site, ...] = ()
    path: list[Site] = field(default_factory=list)
    signal: list[Site] | None = None

    def __post_init__(self):
        self.output_size = output_size(self.conv, self.size)
        self.area = math.prod(self.output_size)


def sites(model: ResidualNetwork) -> list[Site]:
    """Every convolution of the model, in the order of computation."""
    is_compact = isinstance(model, CompactNetwork)  # its convolutions read all that they could
    stem = Site("stem", model.stem, model.stem_gate, model.stem_bn, model.image_shape[:2])
    stem.path, stem.signal = [stem], [stem]
    found, signal, size = [stem], stem.signal, model.signal_size()

    for k, block in enumerate(model.blocks):
        reads, path = () if is_compact else tuple(signal), []
        block_size = size
        if block.shortcut is not None:
            parts = block.shortcut, block.shortcut_gate, block.shortcut_bn
            shortcut = Site(f"blocks.{k}.shortcut", *parts, size, reads)
            shortcut.path, shortcut.signal = [shortcut], [shortcut]
            found.append(shortcut)
            signal, block_size = shortcut.signal, shortcut.output_size
        for name, *parts in block.path():
            site = Site(f"blocks.{k}.{name}", *parts, size, reads, path)
            path.append(site)
            found.append(site)
            reads, size = () if is_compact else (site,), site.output_size
        if path:
            path[-1].signal = signal
            signal.append(path[-1])
        size = block_size
    return found


def neurons(site: Site, reads, writes):
    """Volume of a convolution's output (Eq. 4)."""
    return writes * site.area


def weights(site: Site, reads, writes):
    """Entries of its weight."""
    return reads * writes * math.prod(site.conv.kernel)


def operations(site: Site, reads, writes):
    """Of one image, two per multiply-add."""
    return weights(site, reads, writes) * (2 * site.area)


@dataclass(frozen=True)
class LiveConv:
    """A convolution of the hard-pruned network: the live features that it reads and writes.

    reads: (C_in,) booleans, writes: (C_out,) booleans.
    """

    site: Site
    reads: np.ndarray
    writes: np.ndarray

    def cost(self, of: Callable) -> int:
        """of: `neurons`, `weights`, `operations`, or another function like these."""
        return of(self.site, int(self.reads.sum()), int(self.writes.sum()))


def gate_alive(site: Site) -> np.ndarray:
    """(C_out,) booleans: what the gate lets through at its mean noise; all without a gate."""
    return np.ones(site.conv.c_out, bool) if site.gate is None else site.gate.alive()


def only_vital(site: Site) -> np.ndarray:
    """As `gate_alive`, for the smallest network there is: one feature where none would be fatal."""
    alive = np.ones(site.conv.c_out, bool)
    if site.gate is not None:
        alive[int(site.gate.vital) :] = False
    return alive


def hard_pruned(
    model: ResidualNetwork,
    connectivity: str = "mixed",
    alive: Callable[[Site], np.ndarray] = gate_alive,
) -> list[LiveConv]:
    """The convolutions of the hard-pruned network, dead ones included with nothing to write.

    mixed: a convolution computes its own live features and reads what is alive in the signal.
    regular: all tensors of a residual sum have the union of their live features, and what reads
    the sum reads that union; a dead block is still removed (Section 4.2).
    """
    if connectivity not in CONNECTIVITIES:
        raise ValueError(f"unknown connectivity {connectivity!r}: use one of {CONNECTIVITIES}")
    if connectivity == "regular" and isinstance(model, CompactNetwork):
        raise ValueError(
            "regular connectivity is counted on the gated network, not on a compact one"
        )
    found = sites(model)
    gates = {site: alive(site) for site in found}
    is_alive = {site: all(gates[step].any() for step in site.path) for site in found}
    writes = {site: gates[site] & is_alive[site] for site in found}
    reads = {site: _union(site.reads, writes, site.conv.c_in) for site in found}
    if connectivity == "regular":
        union = {id(s.signal): _union(s.signal, writes, s.conv.c_out) for s in found if s.signal}
        for site in found:
            if site.signal is not None:
                writes[site] = union[id(site.signal)] & is_alive[site]
            if site.reads and site.reads[-1].signal is not None:
                reads[site] = union[id(site.reads[-1].signal)]
    return [LiveConv(site, reads[site], writes[site]) for site in found]


def _union(sources, writes: dict[Site, np.ndarray], channels: int) -> np.ndarray:
    """(channels,) booleans: what any of the sources writes; everything if there is no source."""
    if not sources:
        return np.ones(channels, bool)
    return np.logical_or.reduce([writes[source] for source in sources])
