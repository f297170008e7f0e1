"""Regular connectivity, to which the paper compares mixed connectivity (Section 4.2, Table 2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..nn.networks.residual import CompactNetwork, ResidualNetwork
from .structure import LiveConv, Site, gate_alive, hard_pruned

Alive = Callable[[Site], np.ndarray]  # (C_out,) booleans: the channels that are let through

CONNECTIVITIES = ("mixed", "regular")


def connected(
    model: ResidualNetwork, connectivity: str = "mixed", alive: Alive = gate_alive
) -> list[LiveConv]:
    """The convolutions of the hard-pruned network.

    mixed: as `hard_pruned`. regular: all tensors of a residual sum have the union of their live
    channels, and what reads the sum reads that union; a dead block is still removed.
    Raises ValueError for another connectivity, and for the regular one of a compact network.
    """
    check_connectivity(connectivity)
    layers = hard_pruned(model, alive)
    if connectivity == "mixed":
        return layers
    if isinstance(model, CompactNetwork):
        raise ValueError(
            "regular connectivity is counted on the gated network, not on a compact one"
        )
    return regular(layers)


def check_connectivity(connectivity: str) -> None:
    """Raises ValueError for an unknown connectivity."""
    if connectivity not in CONNECTIVITIES:
        raise ValueError(f"unknown connectivity {connectivity!r}: use one of {CONNECTIVITIES}")


def regular(layers: list[LiveConv]) -> list[LiveConv]:
    """The layers of the same network with regular connectivity."""
    union: dict[int, np.ndarray] = {}
    for site, _, writes in layers:
        if site.signal is not None:
            union[site.signal] = union.get(site.signal, False) | writes
    widened = []
    for site, reads, writes in layers:
        if site.reads and site.reads[0].signal is not None:
            reads = union[site.reads[0].signal]
        if site.signal is not None:
            writes = union[site.signal] & writes.any()
        widened.append(LiveConv(site, reads, writes))
    return widened
