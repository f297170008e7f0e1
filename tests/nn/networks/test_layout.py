"""Layouts: those of compaction are possible, others are refused (tests/train/test_models.py)."""

import json

import numpy as np
import pytest
from properties.networks import gated, post_activation, random_gates

from tinybar import nn, pruning
from tinybar.nn.networks import COMPACT
from tinybar.nn.networks.layout import INNER, check_layout


def test_every_family_has_its_rule():
    assert INNER.keys() == COMPACT.keys()


@pytest.mark.parametrize("connectivity", ["mixed", "regular"])
@pytest.mark.parametrize("seed", range(5))
def test_what_compaction_makes_is_possible(seed, connectivity):
    rng = np.random.default_rng(seed)
    for model in (gated(16), post_activation("basic"), post_activation("bottlenecks")):
        layout = pruning.compact(random_gates(model, rng), connectivity).layout
        check_layout(json.loads(json.dumps(layout)))


def test_a_network_of_an_impossible_layout_is_not_made():
    layout = pruning.compact(gated()).layout
    with pytest.raises(ValueError, match="stem: writes must be channels below 1"):
        nn.compact_network({**layout, "stem": {"width": 1, "writes": [1]}})
