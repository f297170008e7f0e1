"""Runs in groups, and their comparisons at equal budgets and at equal FLOPs."""

import pytest
from report.pages.making import sweep

from tinybar.report.pages.comparison import (
    Series,
    at_equal_budget,
    at_equal_flops,
    drops,
    effects,
    settings,
)
from tinybar.report.pages.rows import load


def setting_of(tmp_path, accuracy, **how):
    (setting,) = settings(load([sweep(tmp_path, accuracy, **how)]).finished)
    return setting


def linear(method, factor, seed, **_):
    """bar loses 0.01 for each doubling, the others 0.02; seeds differ by 0.001."""
    slope = 0.01 if method == "bar" else 0.02
    return 0.95 - slope * (factor.bit_length() - 1) + 0.001 * seed


def test_at_equal_budgets(tmp_path):
    found = at_equal_budget(setting_of(tmp_path, linear))
    assert {(s.name, f): round(c.mean, 6) for (s, f), c in found.items()} == {
        ("magnitude", 4.0): 0.02, ("magnitude", 16.0): 0.04,
    }  # fmt: skip
    assert {c.n for c in found.values()} == {3}


def test_at_equal_flops_the_other_is_interpolated(tmp_path):
    """FLOP factors are squares of the budgets: both curves meet the same four factors."""
    setting = setting_of(tmp_path, linear, methods=["bar", "id"], factors=[2, 4, 16])
    found = at_equal_flops(setting)
    assert {f: round(c.mean, 6) for (_, f), c in found.items()} == {2: 0.01, 4: 0.02, 16: 0.04}
    apart = setting_of(
        tmp_path / "b",
        lambda m, f, s, **_: linear(m, f, s),
        methods=["bar", "id"],
        factors=[4],
    )
    assert at_equal_flops(apart) == {}


def test_options_that_vary_make_series_and_effects(tmp_path):
    def accuracy(method, factor, seed, distill, metric):
        return 0.9 - 0.03 * (not distill) - 0.1 * (metric == "flops")

    setting = setting_of(tmp_path, accuracy, distill=[False, True], metric=["flops", "volume"])
    assert setting.usual == {"distill": "True", "metric": "volume"}
    names = [s.name for s in setting.series if s.method == "bar"]
    assert names[0] == "bar"
    assert set(names[1:]) == {
        "bar, metric flops", "bar, distill False", "bar, distill False, metric flops",
    }  # fmt: skip
    (ours, other) = effects(setting)
    assert (ours.method, ours.key, ours.value, ours.usual) == ("bar", "distill", "False", "True")
    assert {f: round(c.mean, 6) for f, c in ours.at.items()} == {4.0: -0.03, 16.0: -0.03}
    assert other.method == "magnitude"
    assert [s.name for s in setting.rivals] == ["magnitude"]


def test_an_option_without_a_default_among_its_values(tmp_path):
    setting = setting_of(tmp_path, lambda *_, lr: 0.5, lr=[0.1, 0.2])
    assert setting.usual == {"lr": "0.1"}
    assert setting.ours == Series("bar")


def test_the_last_step(tmp_path):
    setting = setting_of(tmp_path, linear, factors=[2, 8, 16])
    before, last, c = drops(setting)[Series("magnitude")]
    assert (before, last) == (8.0, 16.0)
    assert c.mean == pytest.approx(-0.02)


def test_networks_and_data_sets_are_apart(tmp_path):
    path = sweep(tmp_path, linear, model=["wrn-10-1", "wrn-16-4"])
    found = settings(load([path]).finished)
    assert [s.model for s in found] == ["wrn-10-1", "wrn-16-4"]
    assert all(s.series == [Series("bar"), Series("magnitude")] for s in found)
