"""docs/weights.md is true: its links, options and numbers. tests/oracle runs its conversions."""

import re
from pathlib import Path

import pytest

from tinybar import nn, pruning
from tinybar.pruning import COSTS
from tinybar.train.config import Config
from tinybar.train.options import options_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "weights.md").read_text("utf-8")


def test_files_that_are_named_exist():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_options_that_are_named_exist():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert len(named) > 5
    assert named <= {option.flag for option in options_of(Config)}


def test_a_conversion_takes_three_lines():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert [len(block.splitlines()) for block in blocks] == [3, 3, 3]


@pytest.mark.parametrize("metric", ["volume", "flops"])
def test_what_the_convolutions_of_shortcuts_cost(metric):
    net, cost = nn.build("resnet-20", 10, (32, 32, 3)), COSTS[metric]
    layers = [each for each in pruning.hard_pruned(net) if ".shortcut" in each.site.name]
    assert f"{sum(each.cost(cost.of) for each in layers):,} of {cost.full(net):,}" in TEXT
