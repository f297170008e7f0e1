"""The rows of a comparison: those of sweeps' results.csv, and of runs' result.json."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.files import FileError
from ...sweep import table
from ...train.config import Config
from ...train.folder import RunFolder
from ...train.options import options_of
from .results import LARGEST, load_result

TEXTS = "method", "model", "dataset", "metric"
# fmt: off
NUMBERS = (
    "seed", "budget", "cost", "volume_full", "volume", "volume_regular", "volume_factor",
    "flops_full", "flops", "flop_factor", "accuracy_teacher", "accuracy_hard", "accuracy",
)
# fmt: on
OPTIONAL = "training_flops", "probes", "dropped"  # numbers that older results lack
PLACE = {"method", "budget", "seed", "data", "model"}  # keys that have a place of their own


@dataclass(frozen=True)
class Row:
    """A run that has finished. values: NUMBERS, and those of OPTIONAL that are there.

    factor: by which the budget is smaller than the full cost. keys: the other options that the grid
    varies. line: the row as text.
    """

    name: str
    method: str
    setting: tuple[str, str]  # model, data set
    metric: str
    factor: float
    keys: dict[str, str]
    values: dict[str, float]
    line: dict[str, str]
    folder: Path | None

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.values["seed"])


@dataclass(frozen=True)
class Rows:
    """lines: all of them. finished: those with a result. failed: the others."""

    lines: list[dict[str, str]]
    finished: list[Row]
    failed: list[dict[str, str]]

    def csv(self) -> str:
        """All lines as the text of a CSV file."""
        return table.as_csv(self.lines)


def load(folders: Sequence[Path]) -> Rows:
    """The rows of sweeps and runs. ValueError for another folder, FileError for a damaged file."""
    runs = [path for path in folders if not (path / "results.csv").exists()]
    asked = dict(zip(runs, _differing(runs), strict=True))
    lines, finished = [], []
    for path in folders:
        if path in asked:
            result = load_result(RunFolder.open(path))
            source, found = path / "result.json", [table.row(path.name, asked[path], result)]
        else:
            source = path / "results.csv"
            found = table.load(source)
        for line in found:
            folder = path if path in asked else path / "runs" / Path(line["run"]).name
            if line.get("status") == "finished":
                finished.append(_row(line, source, folder if folder.is_dir() else None))
            lines.append(line if len(folders) == 1 else line | {"source": str(path)})
    if not finished:
        raise ValueError(f"no run in {', '.join(map(str, folders))} is finished")
    return Rows(lines, finished, [line for line in lines if line.get("status") != "finished"])


def _differing(runs: list[Path]) -> list[dict[str, Any]]:
    """Of each run: its method, budget and seed, and the options in which the runs differ."""
    configs = [RunFolder.open(path).load_config() for path in runs]
    keys = [
        o
        for o in options_of(Config)
        if o.key in ("method", "budget", "seed")
        or (not o.may_change and o.key != "teacher"
            and len({getattr(config, o.field) for config in configs}) > 1)
    ]  # fmt: skip
    return [{o.key: getattr(config, o.field) for o in keys} for config in configs]


def _row(line: dict[str, str], source: Path, folder: Path | None) -> Row:
    """The line with its numbers read. FileError, naming file and run, where one is not there."""
    texts = {name: _text(line, name, source) for name in TEXTS}
    there = [name for name in OPTIONAL if line.get(name) not in (None, "None")]
    values = {name: _number(line, name, source) for name in (*NUMBERS, *there)}
    keys = {
        key.removeprefix("grid."): value for key, value in line.items() if key.startswith("grid.")
    }
    keys = {key: value for key, value in keys.items() if key not in PLACE}
    setting = texts["model"], texts["dataset"]
    factor = _factor(line, values, texts["metric"], source)
    return Row(
        line["run"], texts["method"], setting, texts["metric"], factor, keys, values, line, folder
    )


def _text(line: dict[str, str], name: str, source: Path) -> str:
    if name not in line:
        raise FileError(f"{source}: the line of {line['run']} has no {name}")
    return line[name]


def _number(line: dict[str, str], name: str, source: Path) -> float:
    text = _text(line, name, source)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    least = 0 if name in ("seed", "dropped", "probes") or name.startswith("accuracy") else 1e-9
    if not least <= value < LARGEST:
        raise FileError(f"{source}: in the line of {line['run']}, {name} is {text!r:.60}")
    return value


def _factor(line: dict[str, str], values: dict[str, float], metric: str, source: Path) -> float:
    """As it was asked for, else the full cost over the budget, to three digits.

    Of a metric whose full cost the result does not tell, the factor of the volume.
    """
    asked = line.get("grid.budget", "")
    if re.fullmatch(r"\d+(\.\d+)?x", asked) and float(asked[:-1]) >= 1:
        return float(asked[:-1])
    if f"{metric}_full" not in line:
        return values["volume_factor"]
    return float(f"{_number(line, f'{metric}_full', source) / values['budget']:.3g}")
