"""The barrier at its edges; `tinybar audit` derives its values and properties between them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning import barrier

MARGINS = st.tuples(st.floats(-1e6, 1e7), st.floats(1e-2, 1e7)).map(lambda m: (m[0], m[0] + m[1]))


@given(MARGINS, st.floats(0, 1e9))
def test_zero_up_to_a_and_infinite_from_b_on(margins, beyond):
    a, b = margins
    assert barrier(a - beyond, a, b) == 0
    assert barrier(b + beyond, a, b) == math.inf
    assert barrier(-math.inf, a, b) == 0
    assert barrier(math.inf, a, b) == math.inf


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


def test_integers_are_taken_as_floats():
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
