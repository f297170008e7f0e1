"""Transitions and the budget at their edges; `tinybar audit` derives their values."""

import decimal
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning import budget, transition
from tinybar.pruning.schedule import KINDS

T = st.floats(0, 1)
KIND = st.sampled_from(KINDS)
HARDNESS = st.floats(-323, 300).map(lambda exponent: 10.0**exponent)  # all there are


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


@given(T, st.floats(-323, -6).map(lambda exponent: 10.0**exponent), KIND)
def test_without_hardness_it_is_linear(t, hardness, kind):
    assert transition(t, kind, hardness) == pytest.approx(t, abs=1e-6)


@pytest.mark.parametrize("hardness", [1e-4, 0.01, 0.5, 1 - 1e-9])
def test_a_soft_sigmoid_keeps_its_digits(hardness):
    with decimal.localcontext(prec=40):
        delta, s = (1 / (1 + (x * decimal.Decimal(hardness) / 10).exp()) for x in (5, 3))
        expected = float((s - delta) / (1 - 2 * delta))
    assert transition(0.2, hardness=hardness) == pytest.approx(expected, rel=1e-14)


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
def test_a_is_below_b_at_all_times(t, kind, full, share):
    a, b = budget(t, full, share * full, kind)
    assert a < b


@pytest.mark.parametrize("target", [0, -1, 1001, math.nan, math.inf])
def test_margins_of_no_budget(target):
    with pytest.raises(ValueError, match="needs 0 < target <= full"):
        budget(0.5, 1000, target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hardness", [1e-5, 0.99e-5, 1e-9, 1e-17, 1e-300])
def test_the_limit_of_no_hardness_is_linear(kind, hardness):
    for t in (0, 0.25, 1):
        assert transition(t, kind, hardness) == pytest.approx(t, abs=2e-6)


def test_margins_of_an_infinite_network():
    with pytest.raises(ValueError, match="full=inf"):
        budget(1, math.inf, 1000)
