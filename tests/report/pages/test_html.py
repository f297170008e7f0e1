"""The forms of numbers."""

import pytest

from tinybar.report.pages.html import difference_text, digits, points, signed, spread_text
from tinybar.report.pages.statistics import Comparison, Spread


def test_signs():
    assert [signed(x) for x in (0.0123, -0.004, 0.0004)] == ["+0.012", "−0.004", "0.000"]
    assert signed(-0.0004) == "0.000"
    assert points(-0.0139) == "−1.39"


def test_spreads_and_differences():
    assert spread_text(Spread(0.9714, 0.0091, 0.96, 5)) == "0.971 ± 0.009"
    assert spread_text(Spread(0.9714, 0.0, 0.96, 1)) == "0.971"
    c = Comparison(0.0123, 0.004, 5, 0.0625, 0.0625)
    assert difference_text(c) == "+0.012 ± 0.004 (p = 0.062)"
    assert difference_text(c._replace(n=1)) == "+0.012"
    assert spread_text(None) == difference_text(None) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.97222222", "0.9722"), ("960392463360", "9.60e+11"), ("736", "736"), ("0.5", "0.5"),
     ("16x", "16x"), ("a.b.c.d", "a.b.c.d")],
)  # fmt: skip
def test_digits(text, expected):
    assert digits(text) == expected
