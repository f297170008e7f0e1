"""An option: its checks and descriptions, and the page that is made from all of them."""

import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinybar.train.config import Config
from tinybar.train.options import option, options_of, read

COSTS = {"volume": 1, "flops": 2}


@dataclass
class Declared:
    """An option of every kind."""

    rate: float = option(0.5, "A rate.", group="A", above=0)
    share: float = option(0.0, "A share.", group="A", at_least=0, at_most=1)
    rest: float = option(0.0, "A rest.", group="A", at_least=0, below=1)
    part: float = option(0.5, "A part.", group="A", above=0, at_most=1)
    any: float = option(0.0, "Any number.", group="A")
    sizes: tuple[int, int] = option((3, 2), "Two sizes.", group="A", at_least=1)
    size: int | None = option(None, "A size.", group="B", at_least=1, unset="none")
    switch: bool = option(True, "A switch.", group="B", alias="button")
    name: str = option("x", "A name.", group="B", metavar="NAME", paper="Section 9")
    cost: str = option(
        "volume", "A cost.", group="B", choices=COSTS, renamed={"neurons": "volume"}
    )  # fmt: skip


OPTIONS = {entry.field: entry for entry in options_of(Declared)}


def test_values():
    checked = {"rate": 1, "sizes": (4, 5), "size": None, "switch": False, "name": "x"}
    assert {name: OPTIONS[name].check(value) for name, value in checked.items()} == checked
    assert OPTIONS["sizes"].check([4, 5]) == (4, 5)  # as in TOML
    assert OPTIONS["name"].check(0.125) == "0.125"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", 0, "--rate must be positive, got 0"),
        ("rate", math.nan, "--rate must be positive, got nan"),
        ("rate", "fast", "--rate must be a number, got 'fast'"),
        ("rate", None, "--rate must be a number, got None"),
        ("any", math.inf, "--any must be finite, got inf"),
        ("share", 1.5, r"--share must be in \[0, 1\], got 1.5"),
        ("part", 0, r"--part must be in \(0, 1\], got 0"),
        ("size", 10**400, r"--size must be within ±1e\+30, got 1000"),
        ("any", -1e31, r"--any must be within ±1e\+30, got -1e\+31"),
        ("rest", 1, r"--rest must be in \[0, 1\), got 1"),
        ("sizes", (0, 1), "--sizes must each be at least 1, got 0"),
        ("sizes", (1, 2.5), r"--sizes must be 2 integers, got \(1, 2.5\)"),
        ("sizes", (1, 2, 3), "--sizes must be 2 integers"),
        ("sizes", 1, "--sizes must be 2 integers, got 1"),
        ("size", True, "--size must be an integer, got True"),
        ("switch", 1, "--switch must be true or false, got 1"),
        ("name", ["a"], r"--name must be a string, got \['a'\]"),
        ("name", True, "--name must be a string, got True"),
        ("cost", "watts", "--cost 'watts' is unknown: use one of volume, flops"),
        ("cost", "neurons", "--cost 'neurons' is now called 'volume': use one of volume, flops"),
    ],
)
def test_a_value_that_is_refused(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        OPTIONS[name].check(value)


def test_a_registry_may_grow(monkeypatch):
    monkeypatch.setitem(COSTS, "latency", 3)
    assert OPTIONS["cost"].check("latency") == "latency"
    assert OPTIONS["cost"].values == "[volume|flops|latency]"


def test_a_table():
    table = {"rate": 2.0, "sizes": [4, 5], "button": False}
    assert read(OPTIONS.values(), table) == {"rate": 2.0, "sizes": (4, 5), "switch": False}
    assert read(options_of(Config), {"batch-size": 8, "lambda": 1.0}) == {
        "batch_size": 8,
        "lambda_": 1.0,
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nothing": 1}, "my.toml: unknown option 'nothing'$"),
        ({"swich": 1}, r"my.toml: unknown option 'swich': did you mean 'switch'\?"),
        ({"rate": 0}, "my.toml: --rate must be positive, got 0"),
        (
            {"switch": True, "button": True},
            "my.toml: --switch is given twice, as 'switch' and 'button'",
        ),
    ],
)
def test_a_table_that_is_refused(table, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        read(OPTIONS.values(), table, "my.toml")


def test_descriptions():
    assert {name: (o.values, o.default_and_range) for name, o in OPTIONS.items()} == {
        "rate": ("X", "0.5; positive"),
        "share": ("X", "0.0; in [0, 1]"),
        "rest": ("X", "0.0; in [0, 1)"),
        "part": ("X", "0.5; in (0, 1]"),
        "any": ("X", "0.0"),
        "sizes": ("N N", "3 2; at least 1"),
        "size": ("N", "(none); at least 1"),
        "switch": ("", "on"),
        "name": ("NAME", "x"),
        "cost": ("[volume|flops]", "volume"),
    }


def test_the_page_in_the_documentation_is_up_to_date():
    """Else: python docs/options.py > docs/options.md"""
    docs = Path(__file__).resolve().parents[2] / "docs"
    made = subprocess.run([sys.executable, docs / "options.py"], capture_output=True, check=True)
    assert made.stdout.decode() == (docs / "options.md").read_text("utf-8")
