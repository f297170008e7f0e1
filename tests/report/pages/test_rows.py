"""Rows of sweeps and runs: joined, read as numbers, refused where damaged."""

import csv
import io

import pytest
from report.pages.making import result, sweep

from tinybar.report.pages.rows import load
from tinybar.runtime.files import FileError
from tinybar.sweep.table import row, update


def test_numbers_keys_and_failures(tmp_path):
    path = sweep(tmp_path / "s", lambda m, f, s, live: 0.5, seeds=[7], live=["hard", "soft"])
    update(path / "results.csv", [row("zz", {"method": "id"}, {}, "no memory")])
    rows = load([path])
    assert len(rows.finished) == 8
    assert [line["reason"] for line in rows.failed] == ["no memory"]
    first = rows.finished[0]
    assert (first.method, first.factor, first.seed) == ("bar", 16.0, 7)
    assert first.keys == {"live": "hard"}
    assert first.values["accuracy"] == 0.5
    assert len(list(csv.DictReader(io.StringIO(rows.csv())))) == 9


def test_two_sweeps_name_their_sources(tmp_path):
    paths = [sweep(tmp_path / name, lambda *_: 0.5) for name in "ab"]
    rows = load(paths)
    assert {line["source"] for line in rows.lines} == set(map(str, paths))
    assert len(rows.finished) == 24


def written(tmp_path, **changed):
    keys = {"method": "bar", "seed": 0}
    update(tmp_path / "results.csv", [row("one", keys, result(**changed))])
    return [tmp_path]


def test_a_budget_that_was_not_in_the_grid_is_told_from_the_costs(tmp_path):
    (only,) = load(written(tmp_path, budget=200)).finished
    assert only.factor == 8.0
    (only,) = load(written(tmp_path, metric="flops", budget=1000)).finished
    assert only.factor == 64.0
    (only,) = load(written(tmp_path, metric="latency", budget=3)).finished
    assert only.factor == only.values["volume_factor"]


@pytest.mark.parametrize("wrong", ["nan", "inf", "-1", "many", ""])
def test_what_is_no_number_is_refused(wrong, tmp_path):
    with pytest.raises(FileError, match=r"results\.csv.* one.* volume_factor"):
        load(written(tmp_path, volume_factor=wrong))


def test_a_sweep_without_a_finished_run(tmp_path):
    update(tmp_path / "results.csv", [row("one", {}, {}, "no memory")])
    with pytest.raises(ValueError, match=r"no run in .* is finished"):
        load([tmp_path])
