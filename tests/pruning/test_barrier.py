"""The barrier of Eq. 5: its closed form, and the properties that Section 3.3 asks of it."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tinybar.pruning import barrier

# Margins in neurons, and V as a share of the way from a to b.
MARGINS = st.tuples(st.floats(-1e6, 1e7), st.floats(1e-2, 1e7)).map(lambda m: (m[0], m[0] + m[1]))
SHARE = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


def exact(volume, a, b) -> Fraction:
    """(V - a)^2 / ((b - V)(b - a)), in rational numbers."""
    volume, a, b = map(Fraction, (volume, a, b))
    return (volume - a) ** 2 / ((b - volume) * (b - a))


def between(share, a, b) -> float:
    volume = a + share * (b - a)
    assume(a < volume < b)
    return volume


@given(MARGINS, SHARE)
@example((0.0, 1.0), 0.5)
def test_the_closed_form(margins, share):
    a, b = margins
    volume = between(share, a, b)
    # Every difference of two floats of like size is rounded once, relative to its own size.
    assert barrier(volume, a, b) == pytest.approx(float(exact(volume, a, b)), rel=1e-14)


def test_numbers_worked_out():
    assert barrier(15, 10, 20) == 0.5  # c = 1/2: (1/4) / (1/2)
    assert barrier(18, 10, 20) == pytest.approx(3.2)  # c = 4/5: (16/25) / (1/5)
    assert barrier(2, 1, 5) == pytest.approx(1 / 12)  # c = 1/4: (1/16) / (3/4)


@given(MARGINS, SHARE)
def test_it_only_depends_on_the_share_of_the_way(margins, share):
    a, b = margins
    volume = between(share, a, b)
    c = (volume - a) / (b - a)
    assume(c < 1 - 1e-6)
    assert barrier(volume, a, b) == pytest.approx(c**2 / (1 - c), rel=1e-8)


@given(MARGINS, st.floats(0, 1e9))
def test_zero_at_and_below_a_infinite_at_and_past_b(margins, beyond):
    a, b = margins
    assert barrier(a - beyond, a, b) == 0
    assert barrier(b + beyond, a, b) == math.inf
    assert barrier(-math.inf, a, b) == 0
    assert barrier(math.inf, a, b) == math.inf


@given(MARGINS, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_monotone_in_the_volume(margins, first, second):
    a, b = margins
    low, high = sorted(a + share * (b - a) for share in (first, second))
    assert barrier(low, a, b) <= barrier(high, a, b) * (1 + 1e-14)


@given(MARGINS, st.floats(0.001, 0.4))
def test_the_tighter_the_budget_the_higher(margins, step):
    """b falls during training: f at a given V rises (Section 3.4)."""
    a, b = margins
    volume, tighter = a + 0.5 * (b - a), b - step * (b - a)
    assume(a < volume < tighter)
    assert barrier(volume, a, tighter) > barrier(volume, a, b)


def test_c1_at_a():
    """f(a + h) / h -> 0 from the right, at rate h / (b - a)^2 (1 + O(h)); f = 0 on the left."""
    a, b = 100.0, 200.0
    for h in (1e-1, 1e-3, 1e-5):
        quotient = (barrier(a + h, a, b) - barrier(a, a, b)) / h
        assert quotient == pytest.approx(h / (b - a) ** 2, rel=2 * h / (b - a) + 1e-9)
        assert (barrier(a, a, b) - barrier(a - h, a, b)) / h == 0


def derivative(volume, a, b) -> float:
    """f'(V) = c (2 - c) / (1 - c)^2 / (b - a), by the quotient rule on c^2 / (1 - c)."""
    c = (volume - a) / (b - a)
    return c * (2 - c) / (1 - c) ** 2 / (b - a)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_the_slope_between_a_and_b(share):
    a, b, h = 100.0, 200.0, 1e-3
    volume = a + share * (b - a)
    quotient = (barrier(volume + h, a, b) - barrier(volume - h, a, b)) / (2 * h)
    assert quotient == pytest.approx(derivative(volume, a, b), rel=1e-6)
    assert derivative(a, a, b) == 0


def test_the_pole_at_b():
    """(1 - c) g(c) -> 1: f grows like (b - a) / (b - V)."""
    a, b = 0.0, 1000.0
    for distance in (1.0, 1e-3, 1e-6):
        product = barrier(b - distance, a, b) * distance / (b - a)
        assert product == pytest.approx(1, abs=3 * distance / (b - a) + 1e-9)


@pytest.mark.parametrize(
    ("volume", "a", "b", "expected"),
    [
        (1e308, 0.0, 1.5e308, 4 / 3),  # c = 2/3
        (1e-308, 0.0, 2e-308, 0.5),  # c = 1/2
        (1e200, 0.0, 1e300, 1e-200),
        (math.nextafter(1.0, 0), 0.0, 1.0, 2.0**53),
        (math.nextafter(0.0, 1), 0.0, 1.0, 0.0),  # underflows to 0, quietly
        (3_112_959, -1.0, 3_112_960, 3_112_960.0**2 / 3_112_961),
    ],
)
def test_extreme_magnitudes(volume, a, b, expected):
    assert barrier(volume, a, b) == pytest.approx(expected, rel=1e-12)


def test_whole_numbers_are_fine():
    assert barrier(15, 10, 20) == barrier(15.0, 10.0, 20.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, 0, 1), "volume is not a number"),
        ((0.5, math.nan, 1), "a < b, got a=nan, b=1"),
        ((0.5, 0, math.nan), "a < b, got a=0, b=nan"),
        ((0.5, 1, 1), "a < b, got a=1, b=1"),
        ((0.5, 2, 1), "a < b, got a=2, b=1"),
        ((0.5, -math.inf, 1), "finite margins"),
        ((0.5, 0, math.inf), "finite margins"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        barrier(*arguments)
