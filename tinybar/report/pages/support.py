"""What the runs support, in sentences that are made from the numbers.

A difference is called one only as far as the test over seeds goes: "above" at p <= 0.05, "ahead of"
with "in every seed" where few seeds can show no more, and else "not told apart".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .comparison import (
    Effect,
    Series,
    Setting,
    at_equal_budget,
    at_equal_flops,
    drops,
    effects,
)
from .html import signed
from .statistics import Comparison, paired

Compared = dict[tuple[Series, float], Comparison]


def statements(setting: Setting) -> list[tuple[str, list[str]]]:
    """(question, answers) of each question of the paper."""
    equal, flops, full = at_equal_budget(setting), at_equal_flops(setting), beside_full(setting)
    steps, varied = drops(setting), effects(setting)
    made = [*equal.values(), *flops.values(), *full.values(), *(c for _, _, c in steps.values())]
    made += [c for effect in varied for c in effect.at.values()]
    found = {
        "BAR and the others at equal budgets": against(setting, equal),
        "BAR and the others at equal FLOPs": against_at_flops(setting, flops),
        "Severe pruning": severe(steps),
        "Barrier or Lagrangian": barrier_or_multiplier(setting, equal),
        "Distillation, the schedule, and other options": options(varied),
        "The unpruned network": against_full(full),
        "How far this goes": limits(setting, made),
    }
    return [(question, answers) for question, answers in found.items() if answers]


def verdict(c: Comparison) -> tuple[str, str]:
    """What may be said of it: the words before the other's name, and those after it."""
    if c.is_decided:
        return "above" if c.mean > 0 else "below", ""
    side = "ahead of" if c.mean > 0 else "behind"
    if c.is_consistent:
        return side, " in every seed"
    is_seen = c.n == 1 and signed(c.mean) != signed(0)
    return (side, " in one seed") if is_seen else ("not told apart from", "")


def evidence(found: Sequence[Comparison]) -> str:
    """5 seeds, p = 0.062; of several comparisons the range of both."""
    n, p = ({getattr(c, name) for c in found} for name in ("n", "p"))
    if n == {1}:
        return "no test"
    seeds = " to ".join(str(x) for x in sorted({min(n), max(n)}))
    ps = " to ".join(dict.fromkeys(f"{x:.2g}" for x in (min(p), max(p))))
    return f"{seeds} seeds, p = {ps}"


def figures(c: Comparison) -> str:
    """+0.012 ± 0.004."""
    return f"{signed(c.mean)} ± {c.sd:.3f}" if c.n > 1 else signed(c.mean)


def sentence(start: str, found: Mapping[str, Comparison]) -> str:
    """The comparisons with names, by verdict, as one sentence."""
    parts: dict[tuple[str, str], list[str]] = {}
    for name, c in sorted(found.items(), key=lambda item: -item[1].mean):
        parts.setdefault(verdict(c), []).append(name)
    told = []
    for (before, after), names in parts.items():
        each = ", ".join(f"{name} {figures(found[name])}" for name in names)
        told.append(f"{before} {each}{after} ({evidence([found[name] for name in names])})")
    return f"{start} {'; '.join(told)}."


def _at(found: Compared, factor: float) -> dict[str, Comparison]:
    return {series.name: c for (series, f), c in found.items() if f == factor}


def against(setting: Setting, found: Compared) -> list[str]:
    """At each budget."""
    if setting.ours is None:
        return ["No run is of BAR: there is nothing to compare the others with."]
    here = [(f, _at(found, f)) for f in setting.factors]
    return [sentence(f"At {f:g}x, {setting.ours.name} is", at) for f, at in here if at] or [
        "BAR and another method share no seed at any budget."
    ]


def against_at_flops(setting: Setting, found: Compared) -> list[str]:
    """At the FLOPs that ours has at each budget."""
    answers = []
    for factor in setting.factors if setting.ours else ():
        here = _at(found, factor)
        group = setting.groups.get((setting.ours, factor))
        if group is None:
            continue
        times = f"{group.spread('flop_factor').mean:.3g}"
        missing = [s.name for s in setting.rivals if s.name not in here]
        start = f"With {times} times fewer FLOPs ({setting.ours.name} at {factor:g}x), it is"
        text = [sentence(start, here)] if here else []
        if missing and here:
            text.append(f"No runs of {', '.join(missing)} lie on both sides of that factor.")
        answers += [" ".join(text)] if text else []
    if setting.rivals and setting.ours and not answers:
        answers = ["No other method has runs on both sides of BAR's FLOPs with the same seed."]
    return answers


def severe(found: Mapping[Series, tuple[float, float, Comparison]]) -> list[str]:
    """How much the last step to the smallest budget costs."""
    steps: dict[tuple[float, float], list[tuple[float, str]]] = {}
    for series, (before, last, c) in found.items():
        steps.setdefault((before, last), []).append(
            (c.mean, f"{series.name} ({figures(c)}, {evidence([c])})")
        )
    return [
        f"From {before:g}x to {last:g}x the accuracy changes, largest loss first: "
        f"{', '.join(text for _, text in sorted(changes))}."
        for (before, last), changes in steps.items()
    ]


def barrier_or_multiplier(setting: Setting, equal: Compared) -> list[str]:
    """What the budget's enforcement had to close, where both were run."""
    both = [s for s in (setting.ours, *setting.rivals) if s and s.method in ("bar", "lagrangian")]
    if len(both) < 2:
        return []
    answers = []
    here = {f: c for (s, f), c in equal.items() if s == both[1]}
    answers += [f"BAR beside the Lagrangian: {_by_factor(here)}."] if here else []
    closed = []
    for factor in setting.factors:
        those = [setting.groups.get((s, factor)) for s in both]
        counts: list[Any] = [group and group.spread("dropped") for group in those]
        if all(counts):
            closed.append(f"at {factor:g}x {counts[0].mean:.1f} and {counts[1].mean:.1f}")
    if closed:
        answers.append(
            "Channels that hard pruning had to close to keep the budget, on average, for "
            f"{both[0].name} and {both[1].name}: {'; '.join(closed)}."
        )
    return answers


def options(varied: list[Effect]) -> list[str]:
    """Of each option that was varied."""
    told = [
        f"{e.method} with {e.key} {e.value} beside {e.key} {e.usual}: {_by_factor(e.at)}."
        for e in varied
    ]
    missing = [key for key in ("distill", "schedule") if key not in {e.key for e in varied}]
    if missing:
        names = {"distill": "distillation", "schedule": "the schedule"}
        told.append(
            f"These runs do not vary {' or '.join(names[k] for k in missing)}: they say nothing "
            "about it."
        )
    return told


def _by_factor(found: Mapping[float, Comparison]) -> str:
    """The verdicts at each budget."""
    told = []
    for factor, c in sorted(found.items()):
        before, after = verdict(c)
        told.append(f"at {factor:g}x {before} it{after} ({figures(c)}, {evidence([c])})")
    return "; ".join(told)


def beside_full(setting: Setting) -> dict[float, Any]:
    """Ours minus its teacher, at each budget."""
    groups = setting.groups_of(setting.ours) if setting.ours else []
    return {g.factor: paired(g.of("accuracy"), g.of("accuracy_teacher")) for g in groups}


def against_full(found: Mapping[float, Comparison]) -> list[str]:
    """The same in a sentence."""
    told = f"BAR beside the full network of the same seed: {_by_factor(found)}."
    return [told] if found else []


def limits(setting: Setting, made: list[Comparison]) -> list[str]:
    """What must not be read into all this."""
    rows = setting.rows
    shares = {row.name: row.values["cost"] / row.values["budget"] - 1 for row in rows}
    over = [f"{name} by {100 * share:.1f} %" for name, share in shares.items() if share > 0]
    answers = [
        f"{len(rows) - len(over)} of {len(rows)} runs keep their budget."
        + (f" Over it: {', '.join(over)}." if over else ""),
        f"All runs are of {setting.model} on {setting.dataset}; another network or other data may "
        "behave otherwise.",
    ]
    tested = [c for c in made if c.n > 1]
    if tested:
        n = max(c.n for c in tested)
        least = min(c.least for c in tested)
        answers.append(
            f"With {n} pairs the test can give no p below {least:.2g}."
            + (" No difference here could reach 0.05: more seeds are needed." * (least > 0.05))
        )
    decided = [c for c in tested if c.is_decided]
    if decided:
        answers.append(
            f"{len(decided)} of {len(tested)} comparisons have p ≤ 0.05; if there were no "
            f"difference anywhere, about {len(tested) / 20:.1f} would."
        )
    return answers
