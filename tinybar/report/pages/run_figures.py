"""The figures of a run."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from . import svg
from .statistics import Bin

UNITS = {"volume": "neurons", "flops": "FLOPs", "params": "parameters", "latency": "ms"}


def stages_of(records: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """(name, first epoch, last epoch) of each stage, epochs counted from 1 over the whole run."""
    found, start = [], 1
    for name, members in groupby(records, key=lambda r: r["stage"]):
        length = len(list(members))
        found.append((name, start, start + length - 1))
        start += length
    return found


def over_epochs(records: list[dict[str, Any]], result: dict[str, Any]) -> list[Markup]:
    """The cost with its budget, how hard the penalty presses, the losses, the accuracies."""
    unit = UNITS.get(result["metric"], result["metric"])
    f = "λ" if result["method"] == "lagrangian" else "f"

    def cost(axes) -> None:
        _line(axes, records, "cost", svg.BLUE, "V")
        _line(axes, records, "b", svg.VERMILLION, "b", "--")
        axes.axhline(
            result["budget"], color=svg.VERMILLION, lw=1, ls=":",
            label=f"B = {result['budget']:,}",
        )  # fmt: skip
        axes.set(ylabel=f"{svg.label(result['metric'])} ({svg.label(unit)})")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(svg.SHORT)

    def pressure(axes) -> None:
        _line(axes, records, "f", svg.VERMILLION, f"{f}, mean of the epoch")
        axes.set(ylabel=f, yscale="symlog")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(svg.SHORT)

    def losses(axes) -> None:
        _line(axes, records, "loss_data", svg.BLUE, "data loss")
        penalised = [r | {"loss_penalty": r["loss_penalty"] or None} for r in records]
        _line(axes, penalised, "loss_penalty", svg.VERMILLION, "penalty", "--")
        axes.set(ylabel="loss")
        svg.log_axis_if_long(axes.yaxis)

    def accuracies(axes) -> None:
        _line(axes, records, "accuracy_train", svg.FAINT, "training images", "--")
        _line(axes, records, "accuracy_val", svg.ORANGE, "validation images")
        _line(axes, records, "accuracy_test", svg.BLUE, "test images")
        axes.set(ylabel="accuracy (%)")

    plots = {
        "The cost and its budget over the epochs": cost,
        "How hard the penalty presses, over the epochs": pressure,
        "The losses over the epochs": losses,
        "The accuracies over the epochs": accuracies,
    }
    if all(r["f"] is None for r in records):  # a method without a penalty
        del plots["How hard the penalty presses, over the epochs"]
    return [svg.drawn(what, _with_stages(plot, records)) for what, plot in plots.items()]


def _line(
    axes, records: list[dict[str, Any]], key: str, colour: str, label: str, style: str = "-"
) -> None:
    """A line with gaps where there is no value; none at all where there never is one."""
    percent = 100 if key.startswith("accuracy") else 1
    values = [np.nan if r.get(key) is None else percent * r[key] for r in records]
    if not np.isnan(values).all():
        axes.plot(range(1, len(values) + 1), values, style, color=colour, label=label)


def _with_stages(plot, records: list[dict[str, Any]]):
    """The figure of a plot over epochs, with a line where a stage begins, and its name."""

    def whole(figure: Figure) -> None:
        axes = figure.subplots()
        plot(axes)
        axes.set(xlabel="epoch", xlim=(0.5, len(records) + 0.5))
        locator: Any = axes.xaxis.get_major_locator()
        locator.set_params(integer=True)
        for name, first, last in stages_of(records):
            if first > 1:
                axes.axvline(first - 0.5, color=svg.FAINT, lw=0.7)
            if (last - first + 1) / len(records) > (len(name) + 1) / 62:  # there is room for it
                axes.text(
                    (first + last) / 2, 1.02, svg.label(name), fontsize=8, ha="center",
                    transform=axes.get_xaxis_transform(),
                )  # fmt: skip
        svg.legend_below(figure, axes)

    return whole


def channels_figure(channels: list[Any]) -> Markup:
    """The channels that each convolution has left, of those that it had.

    channels: (name, channels left, channels before, output area) of each convolution.
    """

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        names, left, before, _ = zip(*channels, strict=True)
        places = range(len(names))
        axes.bar(places, before, 0.86, color=svg.GRID, label="full network")
        axes.bar(places, left, 0.86, color=svg.BLUE, label="left")
        for x, n, full in zip(places, left, before, strict=True):
            axes.text(x, full, f"{n}", ha="center", va="bottom", fontsize=7)
        short = [name.removeprefix("blocks.") for name in names]
        axes.set_xticks(places, [svg.label(n) for n in short], rotation=90, fontsize=8)
        axes.set(ylabel="channels", xlabel="convolution (block.name)")
        axes.set_xlim(-0.7, len(names) - 0.3)
        axes.grid(axis="x", visible=False)
        svg.legend_below(figure, axes)

    width = max(svg.WIDTH, 0.8 + 0.21 * len(channels))
    return svg.drawn("Channels left in each convolution", plot, width)


def calibration_figure(bins: list[Bin]) -> Markup:
    """The reliability diagram: accuracy against confidence, and how many images there are."""

    def plot(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
        top.plot([0, 1], [0, 1], "--", color=svg.FAINT, lw=1, label="as sure as it should be")
        top.plot(confidence, accuracy, "o", color=svg.BLUE, label="this network")
        top.set(ylabel="accuracy", ylim=(0, 1.03))
        bottom.bar(confidence, [b.n for b in bins], 0.03, color=svg.BLUE)
        bottom.set(ylabel="images", yscale="log", xlabel="confidence", xlim=(0, 1.02))
        bottom.yaxis.set_major_formatter(svg.SHORT)
        bottom.minorticks_off()
        svg.legend_below(figure, top)

    return svg.drawn("Accuracy of the answers against their confidence", plot, height=3.8)
