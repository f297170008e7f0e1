"""What a user may write as a budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.train.budget import parse_budget


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8x", 125), ("8X", 125), ("8×", 125), ("1x", 1000), ("1.5x", 666), (" 16x ", 62),
        ("1000x", 1), ("0.125", 125), (".5", 500), ("1.0", 1000), ("1e-3", 1), ("0.9999", 999),
        ("125", 125), ("1", 1), ("1000", 1000), ("+7", 7), (250, 250), (0.25, 250),
    ],
)  # fmt: skip
def test_the_forms_of_a_budget(text, expected):
    assert parse_budget(text, 1000) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0x", "a factor must be at least 1"),
        ("0.5x", "a factor must be at least 1"),
        ("-8x", "a factor must be at least 1"),
        ("nanx", "a factor must be at least 1"),
        ("infx", "a factor must be at least 1"),
        ("2000x", r"is 0: it must be in 1\.\.1,000"),
        ("0.0", r"a fraction must be in \(0, 1\]"),
        ("-0.5", r"a fraction must be in \(0, 1\]"),
        ("1.5", r"a fraction must be in \(0, 1\]"),
        ("nan", r"a fraction must be in \(0, 1\]"),
        ("inf", r"a fraction must be in \(0, 1\]"),
        ("1e-9", r"is 0: it must be in 1\.\.1,000"),
        ("0", r"is 0: it must be in 1\.\.1,000"),
        ("-3", "is -3: it must be in"),
        ("1001", r"is 1,001: it must be in 1\.\.1,000, up to the full network"),
        ("", "use a factor"),
        ("x", "use a factor"),
        ("eight", "use a factor"),
        ("8xx", "use a factor"),
        ("8 %", "use a factor"),
        ("+-7", "use a factor"),
        ("²", "use a factor"),
        ("budget", "use a factor"),
    ],
)
def test_a_budget_that_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_budget(text, 1000)
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)


@given(st.integers(1, 10**9), st.floats(1, 1e4))
def test_a_factor_never_gives_more_than_its_share(full, factor):
    if full >= factor:
        assert parse_budget(f"{factor!r}x", full) <= full / factor
