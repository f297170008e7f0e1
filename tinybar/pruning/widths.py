"""Networks of the same architecture with other widths, and of regular connectivity.

A width is that of a group of channels that live and die together (`narrowing.groups`): those of a
residual signal, or of a convolution inside a path. Widths are lists in the order of the groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..nn.networks import compact_network
from ..nn.networks.residual import CompactNetwork, ResidualNetwork
from .cost import Cost
from .enforce import BudgetError
from .narrowing import groups
from .structure import Site, sites

STEPS = 64  # of a bisection: to the last bit


def layers(
    model: ResidualNetwork, widths: Sequence[int]
) -> Iterator[tuple[Site, int | None, int, int, int]]:
    """(site, group that it reads, group that it writes, width of each) of a full, plain network.

    A group is its number; None is the image.
    """
    number = {conv: k for k, group in enumerate(groups(model)) for conv in group.writers}
    for site in sites(model):
        reads, writes = number[site.reads[0].conv] if site.reads else None, number[site.conv]
        read = site.conv.c_in if reads is None else widths[reads]
        yield site, reads, writes, read, widths[writes]


def cost_of(model: ResidualNetwork, cost: Cost, widths: Sequence[int]) -> int:
    """What the network costs with these widths."""
    return sum(cost.of(site, read, written) for site, *_, read, written in layers(model, widths))


def prices(model: ResidualNetwork, cost: Cost, widths: Sequence[int]) -> list[float]:
    """What one more channel of each group costs: in all that writes it, and in all that reads it.

    Every convolution by itself: for a channel that it reads and one that it writes, not for both.
    """
    found = [0.0] * len(widths)
    for site, reads, writes, read, written in layers(model, widths):
        now = cost.of(site, read, written)
        found[writes] += cost.of(site, read, written + 1) - now
        if reads is not None:
            found[reads] += cost.of(site, read + 1, written) - now
    return found


def scaled(widths: Sequence[int], multiplier: float) -> list[int]:
    """All widths times the multiplier, rounded, and at least 1."""
    return [max(1, round(multiplier * width)) for width in widths]


def fitted(model: ResidualNetwork, cost: Cost, widths: Sequence[int], budget: float) -> list[int]:
    """The widths times the largest number with which the network costs at most `budget`.

    Raises BudgetError if even one channel each costs more, or if all widths are 0.
    """
    if not any(widths):
        raise BudgetError("no channel counts any more: a smaller --lambda leaves some")
    least = cost_of(model, cost, scaled(widths, 0))
    if least > budget:
        raise BudgetError(f"one channel in every convolution costs {least:,}, above {budget:,.0f}")
    low, high = 0.0, 1.0
    while cost_of(model, cost, scaled(widths, high)) <= budget:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        fits = cost_of(model, cost, scaled(widths, middle)) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return scaled(widths, low)


def with_widths(model: ResidualNetwork, widths: Sequence[int]) -> CompactNetwork:
    """A network of these widths, with random weights and the dtype of the model."""
    of = iter(widths)
    signal = next(of)
    layout: dict[str, Any] = {
        "family": model.family,
        "pools": model.pools,
        "image_shape": list(model.image_shape),
        "num_classes": model.num_classes,
        "stem": {"width": signal, "writes": list(range(signal))},
        "blocks": [],
    }
    for block in model.blocks:
        before = signal
        signal = before if block.shortcut is None else next(of)
        everything = list(range(signal))
        layout["blocks"].append(
            {
                "width": signal,
                "reads": list(range(before)),
                "inner": [next(of) for _ in block.path()[1:]],
                "writes": everything,
                "stride": block.stride,
                "shortcut": None if block.shortcut is None else everything,
            }
        )
    return compact_network(layout).astype(model.stem.weight.dtype)
