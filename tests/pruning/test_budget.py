"""Transitions (Supp. Eq. 1) and the margins of Eq. 7."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning import budget, transition
from tinybar.pruning.schedule import KINDS

T = st.floats(0, 1)
KIND = st.sampled_from(KINDS)
HARDNESS = st.floats(1e-3, 500)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(T)
def test_the_sigmoid_s_formula(t):
    delta = sigmoid(-5)
    expected = (sigmoid(10 * (t - 0.5)) - delta) / (1 - 2 * delta)
    assert transition(t) == pytest.approx(expected, abs=1e-14)


def test_values_of_figure_2():
    """By hand: S(-2.5) = 0.0758582, S(-5) = 0.0066929."""
    assert transition(0.5) == pytest.approx(0.5, abs=1e-15)
    assert transition(0.25) == pytest.approx((0.0758582 - 0.0066929) / 0.9866142, abs=1e-6)
    assert transition(0.3, "linear") == 0.3
    assert transition(0.5, "exponential", 2.0) == pytest.approx(0.7310586, abs=1e-6)  # S(1)


@given(KIND, HARDNESS)
def test_from_0_to_1(kind, hardness):
    assert transition(0, kind, hardness) == pytest.approx(0, abs=1e-12)
    assert transition(1, kind, hardness) == pytest.approx(1, abs=1e-12)


@given(KIND, HARDNESS, T, T)
def test_monotone_and_within_0_and_1(kind, hardness, first, second):
    low, high = sorted((first, second))
    values = transition(low, kind, hardness), transition(high, kind, hardness)
    assert values[0] <= values[1] + 1e-12
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in values)


@given(T, HARDNESS)
def test_the_sigmoid_is_symmetric_about_its_middle(t, hardness):
    pair = transition(t, hardness=hardness) + transition(1 - t, hardness=hardness)
    assert pair == pytest.approx(1, abs=1e-11)


@given(T, st.sampled_from(["sigmoid", "exponential"]))
def test_linear_is_the_limit_of_no_hardness(t, kind):
    assert transition(t, kind, 1e-4) == pytest.approx(t, abs=1e-4)


def test_hard_limits():
    assert transition(0.49, hardness=1e4) == pytest.approx(0, abs=1e-12)
    assert transition(0.51, hardness=1e4) == pytest.approx(1, abs=1e-12)
    assert transition(0.01, "exponential", 1e4) == pytest.approx(1, abs=1e-12)


@given(st.floats(0.01, 0.49))
def test_the_exponential_is_fast_first_and_the_sigmoid_slow(t):
    assert transition(t, "exponential") > t > transition(t, "sigmoid")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.01,), "0 <= t <= 1, got -0.01"),
        ((1.01,), "0 <= t <= 1, got 1.01"),
        ((math.nan,), "0 <= t <= 1"),
        ((0.5, "cosine"), "unknown transition 'cosine': use one of sigmoid, linear, exponential"),
        ((0.5, "sigmoid", 0), "hardness must be positive"),
        ((0.5, "sigmoid", -1), "hardness must be positive"),
        ((0.5, "linear", math.nan), "hardness must be positive"),
        ((0.5, "sigmoid", math.inf), "hardness must be positive"),
    ],
)
def test_transition_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        transition(*arguments)


@given(T, KIND, st.floats(1, 1e7), st.floats(1e-3, 1))
def test_equation_7(t, kind, full, share):
    target = share * full
    a, b = budget(t, full, target, kind)
    assert a == pytest.approx(target - 1e-4 * full, rel=1e-12, abs=1e-9)
    progress = transition(t, kind)
    assert b == pytest.approx((1 - progress) * full + progress * target, rel=1e-12)
    assert a < b  # what the barrier needs, at every t


def test_the_ends_of_equation_7():
    assert budget(0, 1000, 100) == (pytest.approx(99.9), 1000)
    assert budget(1, 1000, 100) == (pytest.approx(99.9), pytest.approx(100))
    assert budget(0.5, 1000, 100) == (pytest.approx(99.9), pytest.approx(550))
    assert budget(0.5, 1000, 1000)[1] == pytest.approx(1000)


@pytest.mark.parametrize("target", [0, -1, 1001, math.nan, math.inf])
def test_margins_of_no_budget(target):
    with pytest.raises(ValueError, match="needs 0 < target <= full"):
        budget(0.5, 1000, target)
