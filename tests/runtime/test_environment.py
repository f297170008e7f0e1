"""Switches in the environment."""

import pytest

from tinybar.runtime.environment import is_on


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize(
    ("value", "expected"),
    [(off, False) for off in ("0", "", "off", "Off", "FALSE", "no", " 0 ")]
    + [(on, True) for on in ("1", "on", "true", "yes", "2")],
)
def test_the_value_decides_whatever_the_default(value, expected, default, monkeypatch):
    monkeypatch.setenv("TINYBAR_FAST", value)
    assert is_on("TINYBAR_FAST", default) is expected


@pytest.mark.parametrize("default", [False, True])
def test_what_is_not_set_is_the_default(default, monkeypatch):
    monkeypatch.delenv("TINYBAR_FAST", raising=False)
    assert is_on("TINYBAR_FAST", default) is default
