"""The mixed connectivity that was found: Fig. 5 of the paper for this network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from . import svg

NEW, ADDED, PASSED, ABSENT = "first written", "added to", "passed by", "not there yet"
FILLS = {NEW: svg.BLUE, ADDED: svg.ORANGE, PASSED: svg.GRID}


class Column(NamedTuple):
    """What one path does to the channels of a residual signal.

    name: of the path. flow: the channels that it reads, has inside, and writes. writes: (C,)
    booleans over the channels of the signal.
    """

    name: str
    flow: tuple[int, ...]
    writes: np.ndarray


def signals(layout: dict[str, Any], names: list[str]) -> list[list[Column]]:
    """The paths that write to each residual signal, in the order of computation.

    layout: of a `CompactNetwork`. names: of its blocks.
    """
    stem = layout["stem"]
    width = stem["width"]
    written = len(stem["writes"])
    found = [[Column("stem", (layout["image_shape"][2], written), _mask(stem["writes"], width))]]
    for name, block in zip(names, layout["blocks"], strict=True):
        width, reads = block["width"], len(block["reads"])
        if block["shortcut"] is not None:
            writes = _mask(block["shortcut"], width)
            found.append([Column(f"{name} shortcut", (reads, int(writes.sum())), writes)])
        if block["inner"]:
            writes = _mask(block["writes"], width)
            flow = (reads, *block["inner"], int(writes.sum()))
            found[-1].append(Column(name, flow, writes))
    return found


def _mask(channels: list[int], width: int) -> np.ndarray:
    mask = np.zeros(width, bool)
    mask[channels] = True
    return mask


def states(columns: list[Column]) -> np.ndarray:
    """(C, columns): NEW, ADDED, PASSED or ABSENT; channels that are written earlier come first."""
    writes = np.stack([column.writes for column in columns], 1)
    there = np.cumsum(writes, 1) - writes > 0
    table = np.where(writes, np.where(there, ADDED, NEW), np.where(there, PASSED, ABSENT))
    return table[np.lexsort(~writes[:, ::-1].T)]


def matrix_figure(layout: dict[str, Any], names: list[str]) -> Markup:
    """A matrix for each residual signal: its channels from top to bottom, the paths across."""
    found = signals(layout, names)
    lengths = [len(columns) for columns in found]

    def plot(figure: Figure) -> None:
        ratios = {"width_ratios": [n + 0.6 for n in lengths]}
        panels = figure.subplots(1, len(found), gridspec_kw=ratios, squeeze=False)[0]
        for k, (axes, columns) in enumerate(zip(panels, found, strict=True)):
            _draw(axes, states(columns))
            axes.set_title(f"signal {k}")
            axes.set_xticks(
                np.arange(len(columns)) + 0.5,
                [f"{svg.label(c.name)}: {' → '.join(map(str, c.flow))}" for c in columns],
                rotation=90, fontsize=8,
            )  # fmt: skip
        panels[0].set_ylabel("channels of the residual signal")
        for state, fill in FILLS.items():
            panels[0].fill([], [], color=fill, label=state)
        svg.legend_below(figure, panels[0])

    width = max(svg.WIDTH, 0.9 + 0.34 * sum(lengths) + 0.35 * len(found))
    what = "For each residual signal, which path writes which channel"
    return svg.drawn(what, plot, width, height=4.6)


def _draw(axes, table: np.ndarray) -> None:
    """The states as rectangles, one for a run of equal states in a column."""
    height, width = table.shape
    for state, fill in FILLS.items():
        points, codes = [], []
        for column in range(width):
            for top, end in _runs(table[:, column] == state):
                left, right = column + 0.06, column + 0.94
                points += [(left, top), (right, top), (right, end), (left, end), (left, top)]
                codes += [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
        if points:
            axes.add_patch(PathPatch(Path(points, codes), facecolor=fill, linewidth=0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.grid(False)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, end) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
