"""A grid: the runs that a TOML file asks for.

[grid]                          # every combination of
method = ["bar", "magnitude"]
budget = ["4x", "16x"]
seed = [0, 1]

[options]                       # what all runs share
preset = "digits"

[method.magnitude]              # of the runs whose method is magnitude alone
epochs = [40, 20, 10]
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..train.budget import parse_budget
from ..train.config import Config, configure, read_toml
from ..train.options import options_of

GRIDS = Path(__file__).with_name("grids")
SHORT = ("method", "budget")  # keys whose values say by themselves what they are
LONGEST = 150  # characters of a title: a file's name may have 255
LARGE = 10**9  # the cost of a network that is not known yet


@dataclass(frozen=True)
class Job:
    """A run, or the training of a teacher. name: of its folder. keys: its place in the grid."""

    name: str
    config: Config
    keys: dict[str, object]


def grid_names() -> list[str]:
    """The grids that tinybar brings."""
    return sorted(path.stem for path in GRIDS.glob("*.toml"))


def load_grid(name: str) -> list[Job]:
    """The jobs of a shipped grid, or of the TOML file of that name, in the order of the grid.

    Raises ValueError, naming the file, for an unknown key, an empty list, a table that concerns no
    run, two combinations that are one run, and options that do not fit.
    """
    path = Path(name) if name.endswith(".toml") else GRIDS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(grid_names())
        raise ValueError(f"unknown grid {name!r}: use {known}, or the path of a .toml file")
    try:
        return _jobs(read_toml(path))
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def _jobs(table: dict[str, Any]) -> list[Job]:
    grid, shared = table.pop("grid", None), table.pop("options", {})
    if not isinstance(grid, dict) or not grid:
        raise ValueError("a grid has a table [grid] with lists of values")
    if not isinstance(shared, dict):
        raise ValueError(f"options must be a table, got {shared!r}")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"grid.{key} must be a list of at least one value, got {values!r}")
    _check_fixed(shared, grid, "options")
    special = _special(table, grid)
    jobs = {}
    for values in itertools.product(*grid.values()):
        keys = dict(zip(grid, values, strict=True))
        given = dict(shared)
        for (key, value), options in special.items():
            if _text(keys[key]) == value:
                given |= options
        job = _job(given | keys, keys)
        if job.name in jobs:
            raise ValueError(f"the grid holds the run {job.name} twice")
        jobs[job.name] = job
    _check_data({job.config.data for job in jobs.values()})
    return list(jobs.values())


def _special(table: dict[str, Any], grid: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """{(key, value): options} of the tables [KEY.VALUE]."""
    special = {}
    for key, tables in table.items():
        if key not in grid or not isinstance(tables, dict):
            raise ValueError(f"[{key}] is neither [grid], nor [options], nor a key of the grid")
        for value, options in tables.items():
            if value not in map(_text, grid[key]) or not isinstance(options, dict):
                known = ", ".join(map(_text, grid[key]))
                raise ValueError(f"[{key}.{value}] is for no run: {key} is one of {known}")
            _check_fixed(options, grid, f"{key}.{value}")
            special[key, value] = options
    return special


def _check_fixed(options: dict[str, Any], grid: dict[str, Any], where: str) -> None:
    """ValueError if an option of a table is a key of the grid, too."""
    if both := sorted(options.keys() & grid.keys()):
        raise ValueError(f"{both[0]} is in [grid] and in [{where}]: leave one of them out")


def _check_data(paths: set[str]) -> None:
    """ValueError for two data sets of one name: by it a teacher is known to be theirs."""
    of_name: dict[str, str] = {}
    for path in sorted(paths):
        other = of_name.setdefault(Path(path).name, path)
        if other != path:
            raise ValueError(f"the data sets {other} and {path} have one name: rename one of them")


def _text(value) -> str:
    """The value as it can stand in the name of a table."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job(given: dict[str, Any], keys: dict[str, Any]) -> Job:
    preset = given.pop("preset", None)
    if not isinstance(preset, str | None):
        raise ValueError(f"preset must be a name, got {preset!r}")
    config = configure(given, preset)
    if not config.budget.lstrip("+-").isdigit():  # a number is checked when the network is known
        parse_budget(config.budget, LARGE)
    parts = [_text(v) if k in SHORT else f"{k}{_text(v)}" for k, v in keys.items()]
    return Job(_name("-".join(parts), _decisive(config)), config, keys)


def _name(title: str, decisive: dict[str, Any]) -> str:
    """The title as a folder can be called, and a hash of what decides the result."""
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.+=_-]+', '_', title)[:LONGEST]}-{digest}"


def _decisive(config: Config) -> dict[str, Any]:
    """The options that decide the result: not where the data lies, and no teacher's file."""
    table = {o.key: getattr(config, o.field) for o in options_of(Config) if not o.may_change}
    return table | {"data": Path(config.data).name, "teacher": None}


def teacher_job(config: Config) -> Job:
    """The training of the run's teacher: the same job for all runs that share it."""
    own = {o.field: getattr(config, o.field) for o in options_of(Config) if o.of_teacher}
    own |= {name: getattr(config, name) for name in ("data", "data_dir", "checkpoint_minutes")}
    alone = Config(**own)
    title = f"{Path(alone.data).name}-{alone.model}-seed{alone.seed}"
    return Job(_name(title, _decisive(alone)), alone, {})


def with_teacher(job: Job, path: Path) -> Job:
    """The job with the teacher's weights from a file."""
    return replace(job, config=replace(job.config, teacher=str(path.resolve())))
