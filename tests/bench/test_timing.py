"""Statistics of times, and the order of turns. Nothing here depends on a clock's speed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.bench import timing
from tinybar.bench.timing import LEAST_ROUNDS, Turn, interleave, speed_ratio, summarise

TIMES = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=50)


@given(TIMES, st.randoms(use_true_random=False))
def test_a_summary_is_ordered_and_knows_no_order(times, random):
    summary = summarise(times)
    assert min(times) == summary.fastest <= summary.lower <= summary.median
    assert summary.median <= summary.upper <= max(times)
    assert summary.count == len(times)
    random.shuffle(times)
    assert summarise(times) == summary


@given(TIMES, st.integers(-3, 3))
def test_a_summary_scales_with_its_unit(times, power):
    scaled, summary = summarise([t * 2.0**power for t in times]), summarise(times)
    for name in ("median", "lower", "upper", "fastest"):
        assert math.isclose(getattr(scaled, name), getattr(summary, name) * 2.0**power)


@given(TIMES)
def test_no_more_than_a_quarter_of_the_times_lies_outside_a_quartile(times):
    summary = summarise(times)
    slack, most = 1 + 1e-12, math.ceil((len(times) - 1) / 4)
    assert sum(t < summary.lower / slack for t in times) <= most
    assert sum(t > summary.upper * slack for t in times) <= most


def test_quartiles_of_known_times():
    summary = summarise([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (summary.lower, summary.median, summary.upper) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("times", [[], [1.0, 0.0], [-1.0], [math.nan], [math.inf, 1.0]])
def test_what_is_no_time_is_refused(times):
    with pytest.raises(ValueError, match="positive numbers"):
        summarise(times)


ROUNDS = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(st.floats(1e-3, 1e3), min_size=n, max_size=n), min_size=2)
)


@given(ROUNDS, st.floats(0.01, 100))
def test_who_is_k_times_faster_has_the_ratio_k(rounds, k):
    slower = [[k * t for t in turn] for turn in rounds]
    for value in speed_ratio(rounds, slower):
        assert math.isclose(value, k)
    for value in speed_ratio(slower, rounds):
        assert math.isclose(value, 1 / k)


def test_the_ratio_is_that_of_the_rounds():
    ours, theirs = [[1.0, 2.0], [3.0], [1.0]], [[4.0, 2.0], [8.0, 7.0], [1.0, 1.0, 90.0]]
    ratios = sorted([3 / 1.5, 7.5 / 3, 1.0])
    ratio, lower, upper = speed_ratio(ours, theirs)
    assert ratio == ratios[1]
    assert lower == pytest.approx((ratios[0] + ratios[1]) / 2)
    assert upper == pytest.approx((ratios[1] + ratios[2]) / 2)


def test_turns_alternate_and_long_steps_are_all_measured(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0.0)
    calls = []

    def turn(name, step):
        def run(steps, unmeasured):
            calls.append((name, steps, unmeasured))
            return [step] * steps

        return Turn(run, step, name)

    rounds = interleave({"a": turn("a", 0.05), "b": turn("b", 2.0)}, 1e-9)
    assert [name for name, _, _ in calls] == ["a", "b"] * LEAST_ROUNDS
    assert {call for call in calls if call[0] == "b"} == {("b", 1, 0)}
    assert all(steps >= 1 and unmeasured == 1 for name, steps, unmeasured in calls if name == "a")
    assert {name: len(times) for name, times in rounds.items()} == {
        "a": LEAST_ROUNDS,
        "b": LEAST_ROUNDS,
    }
