"""The figures of a comparison: Figs. 6, 7 and 8 of the paper, for these runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ...runtime.files import reading
from . import svg
from .comparison import Series, Setting
from .paper import Point
from .results import check_channels


class Style(NamedTuple):
    """How a method looks wherever it is drawn: by colour, and by marker without colour."""

    colour: str
    marker: str


STYLES = {
    "bar": Style(svg.VERMILLION, "o"),
    "lagrangian": Style(svg.BLUE, "s"),
    "l0": Style(svg.GREEN, "^"),
    "ib": Style(svg.PURPLE, "v"),
    "morphnet": Style(svg.ORANGE, "D"),
    "random": Style(svg.FAINT, "x"),
    "magnitude": Style(svg.SKY, "p"),
    "vq": Style(svg.YELLOW, "*"),
    "id": Style(svg.INK, "P"),
    "scratch": Style(svg.BROWN, "h"),
}
OTHERS = [Style(c, m) for m in "<>d8" for c in (svg.GREEN, svg.ORANGE, svg.BLUE, svg.PURPLE)]
LINES = "-", "--", ":", "-."
AXES = {"volume_factor": "volume reduction factor", "flop_factor": "FLOP reduction factor"}


def styles(series: Sequence[Series]) -> dict[Series, tuple[Style, str]]:
    """(style of the method, line): series of one method differ in their lines."""
    unknown = list(dict.fromkeys(s.method for s in series if s.method not in STYLES))
    known = STYLES | {name: OTHERS[k % len(OTHERS)] for k, name in enumerate(unknown)}
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for one in series:
        found[one] = known[one.method], LINES[seen[one.method] % len(LINES)]
        seen[one.method] += 1
    return found


def accuracy_figure(
    setting: Setting, key: str, series: list[Series], paper: dict[str, list[Point]]
) -> Markup:
    """Accuracy against a factor: mean and s.d. over the seeds at each budget (Fig. 6, Fig. 8).

    key: one of AXES. paper: its points of each series, drawn behind.
    """
    looks = styles(setting.series)

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        full = float(np.mean([row.values["accuracy_teacher"] for row in setting.rows]))
        axes.axhline(100 * full, color=svg.INK, lw=1, ls="--", label="unpruned")
        for one in series:
            (colour, marker), line = looks[one]
            if one.name in paper:
                points = np.array(paper[one.name])
                x = points[:, 0 if key == "volume_factor" else 1]
                axes.plot(
                    x, 100 * points[:, 2], marker, ls=":", color=colour, lw=0.8, ms=5, alpha=0.6,
                    markerfacecolor="none",
                )  # fmt: skip
            groups = setting.groups_of(one)
            accuracy = [group.spread("accuracy") for group in groups]
            axes.errorbar(
                [group.spread(key).mean for group in groups],
                [100 * a.mean for a in accuracy], [100 * a.sd for a in accuracy],
                color=colour, marker=marker, ls=line, ms=5.5, capsize=2, elinewidth=0.8,
                lw=2.2 if one == setting.ours else 1.2, zorder=3 if one == setting.ours else 2,
                label=svg.label(one.name),
            )  # fmt: skip
        if paper:
            axes.plot([], [], "o", ls=":", color=svg.FAINT, lw=0.8, markerfacecolor="none",
                      label="the paper's")  # fmt: skip
        svg.log2_axis(axes.xaxis)
        axes.set(xlabel=AXES[key], ylabel="test accuracy (%)")
        svg.legend_below(figure, axes)

    longest = max(len(svg.label(one.name)) for one in series)
    height = 3.4 + 0.19 * (len(series) + 2) / (3 if longest < 12 else 1)
    return svg.drawn(f"Test accuracy against the {AXES[key]}", plot, height=height)


def neurons_figure(setting: Setting) -> tuple[Markup, list[str]] | None:
    """Neurons of each block at each budget (Fig. 7), and the runs that are drawn.

    Of BAR, or of the first series, the first seed; None where no folder of a run is there.
    """
    series = setting.ours or setting.series[0]
    drawn: dict[float, Any] = {}
    for group in setting.groups_of(series):
        for row in sorted(group.rows, key=lambda row: row.seed):
            if channels := _channels(row.folder):
                drawn.setdefault(group.factor, (row.name, channels))
    if not drawn:
        return None

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        full = _by_block([(name, n, n, area) for name, _, n, area in next(iter(drawn.values()))[1]])
        places = np.arange(len(full))
        axes.bar(places, list(full.values()), 0.92, color=svg.GRID, label="full")
        colours = svg.SKY, svg.BLUE, svg.ORANGE, svg.VERMILLION, svg.PURPLE, svg.GREEN
        width = 0.84 / len(drawn)
        for k, (factor, (_, channels)) in enumerate(drawn.items()):
            here = _by_block(channels)
            axes.bar(
                places + (k - (len(drawn) - 1) / 2) * width, [here.get(b, 0) for b in full],
                0.92 * width, color=colours[k % len(colours)], label=f"{factor:g}x",
            )  # fmt: skip
        axes.set_xticks(places, [svg.label(b) for b in full], rotation=90 if len(full) > 12 else 0)
        axes.set(xlabel="block", ylabel="neurons")
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_formatter(svg.SHORT)
        svg.legend_below(figure, axes)

    width = max(svg.WIDTH, 1.2 + 0.3 * len(_by_block(next(iter(drawn.values()))[1])))
    figure = svg.drawn(f"Neurons in each block, {series.name}", plot, width)
    return figure, [name for name, _ in drawn.values()]


def _channels(folder) -> list[Any] | None:
    """The channels of each convolution, from result.json."""
    path = folder and folder / "result.json"
    if not path or not path.exists():
        return None
    with reading(path):
        return check_channels(json.loads(path.read_text("utf-8")), path)


def _by_block(channels: list[Any]) -> dict[str, int]:
    """The neurons left in each block. channels: of result.json."""
    found: dict[str, int] = defaultdict(int)
    for name, left, _, area in channels:
        parts = name.split(".")
        found[parts[1] if len(parts) > 1 else name] += left * area
    return dict(found)
