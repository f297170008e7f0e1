"""Sentences claim what the test over seeds shows, and no more."""

import pytest
from report.pages.making import sweep

from tinybar.report.pages.comparison import settings
from tinybar.report.pages.rows import load
from tinybar.report.pages.statistics import Comparison
from tinybar.report.pages.support import sentence, statements, verdict


def answers(tmp_path, accuracy, **how) -> dict[str, str]:
    (setting,) = settings(load([sweep(tmp_path, accuracy, **how)]).finished)
    return {question: " ".join(lines) for question, lines in statements(setting)}


@pytest.mark.parametrize(
    ("c", "expected"),
    [
        (Comparison(0.1, 0, 6, 0.03, 0.03), ("above", "")),
        (Comparison(-0.1, 0, 6, 0.03, 0.03), ("below", "")),
        (Comparison(0.1, 0, 5, 0.0625, 0.0625), ("ahead of", " in every seed")),
        (Comparison(-0.1, 0, 2, 0.5, 0.5), ("behind", " in every seed")),
        (Comparison(0.1, 0.1, 5, 0.125, 0.0625), ("not told apart from", "")),
        (Comparison(0.1, 0.1, 7, 0.06, 0.016), ("not told apart from", "")),
        (Comparison(0.1, 0, 1, 1.0, 1.0), ("ahead of", " in one seed")),
        (Comparison(0.0, 0, 3, 1.0, 0.25), ("not told apart from", "")),
    ],
)
def test_verdicts(c, expected):
    assert verdict(c) == expected


def test_a_sentence_groups_by_verdict():
    above = Comparison(0.05, 0.01, 6, 0.03125, 0.03125)
    found = {"vq": above, "id": above._replace(mean=0.08), "l0": above._replace(mean=0.001, p=0.5)}
    assert sentence("At 4x, bar is", found) == (
        "At 4x, bar is above id +0.080 ± 0.010, vq +0.050 ± 0.010 (6 seeds, p = 0.031); "
        "not told apart from l0 +0.001 ± 0.010 (6 seeds, p = 0.5)."
    )


def noisy(method, factor, seed, **keys):
    loss = 0.01 * (method != "bar") + 0.05 * (method == "morphnet" and factor == 16)
    return 0.9 - loss + 0.001 * seed * (1 + (method == "bar"))


def test_three_seeds_decide_nothing(tmp_path):
    said = answers(tmp_path, noisy)
    assert "above" not in " ".join(said.values())
    assert (
        "ahead of magnitude +0.011 ± 0.001 in every seed (3 seeds, p = 0.25)"
        in (said["BAR and the others at equal budgets"])
    )
    assert (
        "can give no p below 0.25. No difference here could reach 0.05"
        in (said["How far this goes"])
    )


def test_six_seeds_can(tmp_path):
    said = answers(tmp_path, noisy, seeds=range(6))
    assert "bar is above magnitude" in said["BAR and the others at equal budgets"]
    assert "could reach" not in said["How far this goes"]


def test_what_drops_at_severe_pruning(tmp_path):
    said = answers(tmp_path, noisy, methods=["bar", "morphnet"])["Severe pruning"]
    assert said.startswith(
        "From 4x to 16x the accuracy changes, largest loss first: morphnet (−0.05"
    )


def test_what_was_not_run_is_said(tmp_path):
    said = answers(tmp_path, noisy, methods=["vq", "id"])
    assert said["BAR and the others at equal budgets"].startswith("No run is of BAR")
    options = said["Distillation, the schedule, and other options"]
    assert "do not vary distillation or the schedule" in options
    assert "Barrier or Lagrangian" not in said


def test_barrier_lagrangian_and_distillation(tmp_path):
    said = answers(
        tmp_path,
        lambda m, f, s, distill: noisy(m, f, s) - 0.02 * (not distill),
        methods=["bar", "lagrangian"], distill=[True, False], seeds=range(6),
    )  # fmt: skip
    assert "at 4x above it" in said["Barrier or Lagrangian"]
    assert "for bar and lagrangian: at 4x 3.0 and 3.0" in said["Barrier or Lagrangian"]
    told = said["Distillation, the schedule, and other options"]
    assert "bar with distill False beside distill True: at 4x below it (−0.020" in told
    assert "do not vary the schedule" in told
