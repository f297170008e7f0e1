"""The table of results."""

import pytest

from tinybar.bench.table import number


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (18_834.2, 4, "18,834"), (9999.7, 4, "10,000"), (9999.4, 4, "9999"), (5.3224, 4, "5.322"),
        (999.7, 3, "1,000"), (1234.0, 3, "1,234"), (0.01234, 3, "0.0123"),
    ],
)  # fmt: skip
def test_numbers_have_no_exponent(value, digits, text):
    assert number(value, digits) == text
