"""The paper's own results (Supp. 6), where a network and its data are the paper's."""

from __future__ import annotations

import tomllib
from importlib.resources import files

Point = tuple[float, float, float]  # V factor, FLOP factor, test accuracy


def paper_points(model: str, dataset: str) -> dict[str, list[Point]]:
    """The points of each series; {} for another network or data set."""
    text = files(__package__).joinpath("paper.toml").read_text("utf-8")
    found = tomllib.loads(text).get(model, {}).get(dataset, {})
    return {name: [tuple(p) for p in points] for name, points in found.items()}
