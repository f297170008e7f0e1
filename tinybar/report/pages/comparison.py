"""The runs of one network on one data set, grouped by what was asked for, and compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...train.config import Config
from ...train.options import options_of
from .rows import Row
from .statistics import Comparison, interpolated, paired, spread

OURS = "bar"
ORDER = (OURS, "lagrangian", "l0", "ib", "morphnet", "magnitude", "id", "vq", "random", "scratch")


class Series(NamedTuple):
    """A method, and the options that the runs vary whose values are not the usual ones."""

    method: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join([self.method, *(f"{key} {value}" for key, value in self.options)])


@dataclass(frozen=True)
class Group:
    """The runs of a series at a budget: they differ in their seeds."""

    series: Series
    factor: float
    rows: list[Row]

    def of(self, key: str) -> dict[int, float]:
        """The value of each seed, where it is known."""
        return {row.seed: row.values[key] for row in self.rows if key in row.values}

    def spread(self, key: str) -> Any:
        """Over the seeds; None where no run has the value."""
        values = list(self.of(key).values())
        return spread(values) if values else None

    @property
    def kept(self) -> int:
        """The runs whose cost is within the budget."""
        return sum(row.values["cost"] <= row.values["budget"] for row in self.rows)


@dataclass(frozen=True)
class Setting:
    """All runs of a model on a data set.

    usual: of each option that the runs vary the default, else the first value.
    """

    model: str
    dataset: str
    groups: dict[tuple[Series, float], Group]
    usual: dict[str, str]

    @property
    def series(self) -> list[Series]:
        """In the order of `ORDER`, then in that of the rows; with the usual options first."""
        every = dict.fromkeys(series for series, _ in self.groups)
        place = {name: k for k, name in enumerate(ORDER)}
        return sorted(every, key=lambda s: (place.get(s.method, len(place)), len(s.options)))

    @property
    def factors(self) -> list[float]:
        """The budgets, from the largest."""
        return sorted({factor for _, factor in self.groups})

    def groups_of(self, series: Series) -> list[Group]:
        """From the largest budget to the smallest."""
        return [self.groups[series, f] for f in self.factors if (series, f) in self.groups]

    @property
    def ours(self) -> Any:
        """BAR with the usual options, to which the others are compared."""
        return Series(OURS) if Series(OURS) in self.series else None

    @property
    def rivals(self) -> list[Series]:
        """The other methods, with the usual options."""
        return [s for s in self.series if s.method != OURS and not s.options]

    @property
    def rows(self) -> list[Row]:
        """All runs."""
        return [row for group in self.groups.values() for row in group.rows]


def settings(rows: list[Row]) -> list[Setting]:
    """The runs by model and data set, in the order of the rows."""
    parts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.setting].append(row)
    return [_setting(*names, members) for names, members in parts.items()]


def _setting(model: str, dataset: str, rows: list[Row]) -> Setting:
    keys = dict.fromkeys(key for row in rows for key in row.keys)
    found = {key: list(dict.fromkeys(row.keys.get(key, "") for row in rows)) for key in keys}
    varied = {key: values for key, values in found.items() if len(values) > 1}
    defaults = {o.key: str(getattr(Config(), o.field)) for o in options_of(Config)}
    usual = {k: defaults[k] if defaults.get(k) in vs else vs[0] for k, vs in varied.items()}
    groups: dict[tuple[Series, float], Group] = {}
    for row in rows:
        options = ((key, row.keys.get(key, "")) for key in varied)
        series = Series(row.method, tuple((k, v) for k, v in options if v != usual[k]))
        place = series, row.factor
        groups.setdefault(place, Group(*place, [])).rows.append(row)
    return Setting(model, dataset, groups, usual)


# --- comparisons over seeds -----------------------------------------------------------------------


def at_equal_budget(setting: Setting) -> dict[tuple[Series, float], Comparison]:
    """Ours minus each rival's accuracy, at each budget that both have."""
    found = {}
    for rival in setting.rivals if setting.ours else ():
        for group in setting.groups_of(rival):
            mine = setting.groups.get((setting.ours, group.factor))
            result = mine and paired(mine.of("accuracy"), group.of("accuracy"))
            if result:
                found[rival, group.factor] = result
    return found


def at_equal_flops(setting: Setting) -> dict[tuple[Series, float], Comparison]:
    """The same where both have the FLOPs of ours at each budget.

    The rival's accuracy is interpolated, seed by seed, on straight lines in log FLOPs. There is
    none outside of the range of its runs.
    """
    found = {}
    for rival in setting.rivals if setting.ours else ():
        curves: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for group in setting.groups_of(rival):
            for row in group.rows:
                curves[row.seed].append((row.values["flop_factor"], row.values["accuracy"]))
        for mine in setting.groups_of(setting.ours):
            theirs = {
                row.seed: y
                for row in mine.rows
                if row.seed in curves
                and (y := interpolated(
                    row.values["flop_factor"], *zip(*curves[row.seed], strict=True))) is not None
            }  # fmt: skip
            result = paired(mine.of("accuracy"), theirs)
            if result:
                found[rival, mine.factor] = result
    return found


class Effect(NamedTuple):
    """What an option changes: accuracy with `value` minus that with the usual one, per budget."""

    method: str
    key: str
    value: str
    usual: str
    at: dict[float, Comparison]


def effects(setting: Setting) -> list[Effect]:
    """Of each option that the runs vary, all others having their usual values.

    The metric is none of them: its budgets have another unit.
    """
    found = []
    for series in setting.series:
        keys = [key for key, _ in series.options]
        if len(keys) != 1 or keys == ["metric"]:
            continue
        at = {}
        for group in setting.groups_of(series):
            other = setting.groups.get((Series(series.method), group.factor))
            result = other and paired(group.of("accuracy"), other.of("accuracy"))
            if result:
                at[group.factor] = result
        if at:
            (key, value), *_ = series.options
            found.append(Effect(series.method, key, value, setting.usual[key], at))
    return found


def drops(setting: Setting) -> dict[Series, tuple[float, float, Comparison]]:
    """From the second smallest budget of a series to its smallest: (from, to, change)."""
    found = {}
    for series in setting.series:
        groups = setting.groups_of(series)
        if len(groups) > 1:
            before, last = groups[-2:]
            change = paired(last.of("accuracy"), before.of("accuracy"))
            if change:
                found[series] = before.factor, last.factor, change
    return found
