"""The page of a sweep, of several, or of several runs: the methods beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import rows as table
from .comparison import (
    OURS,
    Group,
    Series,
    Setting,
    at_equal_budget,
    at_equal_flops,
    effects,
    settings,
)
from .html import render
from .paper import paper_points
from .support import statements
from .sweep_figures import AXES, accuracy_figure, neurons_figure

COLUMNS = (
    "run", "method", "budget", "seed", "accuracy", "accuracy_hard", "accuracy_teacher",
    "volume_factor", "flop_factor", "cost", "params", "training_flops", "probes", "seconds",
)  # fmt: skip


def sweep_page(folders: Sequence[Path]) -> tuple[str, str]:
    """(page, rows as CSV) of the sweeps and runs in the folders.

    Raises ValueError for a folder that is neither, or if no run is finished; FileError for a
    damaged file, and for a row that lacks a column.
    """
    rows = table.load(folders)
    found = settings(rows.finished)
    methods = list(dict.fromkeys(row.method for row in rows.finished))
    where = ", ".join(f"{s.model} on {s.dataset}" for s in found)
    who = ", ".join(methods) if len(methods) < 3 else f"{len(methods)} methods"
    text = render(
        "sweep.html",
        title=f"{who}: {where}",
        rows=rows,
        sections=[section(setting) for setting in found],
        columns=columns(rows.lines),
        sources=[str(path) for path in folders],
    )
    return text, rows.csv()


def section(setting: Setting) -> dict[str, Any]:
    """What the template shows of a setting."""
    paper = paper_points(setting.model, setting.dataset)
    by_metric = [s for s in setting.series if s.method == OURS and _is_metric(s)]
    return {
        "setting": setting,
        "figure6": [accuracy_figure(setting, key, setting.series, paper) for key in AXES],
        "figure7": neurons_figure(setting),
        "figure8": [accuracy_figure(setting, key, by_metric, paper) for key in AXES]
        if len(by_metric) > 1
        else [],
        "paper": paper,
        "statements": statements(setting),
        "groups": [group for s in setting.series for group in setting.groups_of(s)],
        "accuracies": {
            s.name: [_cell(setting.groups.get((s, f))) for f in setting.factors]
            for s in setting.series
        },
        "equal_budget": _by_rival(setting, at_equal_budget(setting)),
        "equal_flops": _by_rival(setting, at_equal_flops(setting)),
        "effects": effects(setting),
        "connectivity": connectivity(setting),
    }


def _is_metric(series: Series) -> bool:
    """Whether it differs from the usual one by its metric alone, if at all."""
    return all(key == "metric" for key, _ in series.options)


def _cell(group: Group | None):
    return group and group.spread("accuracy")


def _by_rival(setting: Setting, found: dict[Any, Any]) -> dict[str, list[Any]]:
    """For each rival a comparison, or None, at each budget; rivals without any are left out."""
    table = {s.name: [found.get((s, f)) for f in setting.factors] for s in setting.rivals}
    return {name: cells for name, cells in table.items() if any(cells)}


def connectivity(setting: Setting) -> dict[str, list[float | None]]:
    """What mixed connectivity saves of the volume with regular blocks, at each budget (Table 2)."""

    def saved(group: Group | None) -> float | None:
        if group is None:
            return None
        return 1 - group.spread("volume").mean / group.spread("volume_regular").mean

    found = {
        s.name: [saved(setting.groups.get((s, f))) for f in setting.factors] for s in setting.series
    }
    return {name: cells for name, cells in found.items() if any(cells)}


def columns(lines: list[dict[str, str]]) -> list[str]:
    """Those of the table of all runs: what the grid varies stands for what it is in the result."""
    there = dict.fromkeys(key for line in lines for key in line)
    grid = [
        key
        for key in there
        if key.startswith("grid.") and len({line.get(key) for line in lines}) > 1
    ]
    own = [key for key in COLUMNS if key in there and f"grid.{key}" not in grid]
    return [*own[:1], *grid, *own[1:], "status", *(["source"] if "source" in there else [])]
