"""The matrix of a layout that was written by hand, and of networks that were pruned."""

import numpy as np
import pytest
from report.pages.making import Page

from tinybar import nn, pruning
from tinybar.report.pages.connectivity import (
    ABSENT,
    ADDED,
    NEW,
    PASSED,
    matrix_figure,
    signals,
    states,
)
from tinybar.report.pages.run import block_names, removed_blocks

BLOCK = {"shortcut": None}
LAYOUT = {
    "image_shape": [8, 8, 3],
    "stem": {"width": 3, "writes": [1, 2]},
    "blocks": [
        {"width": 3, "reads": [1, 2], "inner": [5], "writes": [0, 2], **BLOCK},
        {"width": 2, "reads": [0, 1, 2], "inner": [], "writes": [], "shortcut": [0, 1]},
    ],
}  # fmt: skip


def test_states_by_hand():
    first, second = signals(LAYOUT, ["block 0", "block 3"])
    assert [c.name for c in first] == ["stem", "block 0"]
    assert [c.flow for c in first] == [(3, 2), (2, 5, 2)]
    assert states(first).tolist() == [[NEW, ADDED], [NEW, PASSED], [ABSENT, NEW]]
    assert [(c.name, c.flow) for c in second] == [("block 3 shortcut", (3, 2))]


@pytest.mark.parametrize("name", ["wrn-10-2", "wrn-28-1", "resnet50"])
def test_of_pruned_networks(name):
    rng = np.random.default_rng(3)
    net = nn.build(name, 4, (32, 32, 3), nn.HardConcrete).eval()
    for gate in pruning.gates_of(net):
        share = 0 if rng.random() < 0.3 else 0.3
        for channel in range(gate.scores().size):
            gate.set_score(channel, 1.0 if rng.random() < share else -5.0)
    small, live = pruning.compact(net), pruning.hard_pruned(net)
    channels = [(x.site.name, int(x.writes.sum()), x.site.conv.c_out, x.site.area) for x in live]
    names = block_names(small.layout, channels)
    assert not {f"block {k}" for k in removed_blocks(channels)} & {
        c.name for columns in signals(small.layout, names) for c in columns
    }
    written = sum(c.flow[-1] for columns in signals(small.layout, names) for c in columns)
    ends = [s for s in live if s.site.signal is not None]
    assert written == sum(int(s.writes.sum()) for s in ends)
    Page(str(matrix_figure(small.layout, names)))


def test_without_the_channels_blocks_are_numbered_as_they_are_left():
    assert block_names(LAYOUT, None) == ["block 1 of 2", "block 2 of 2"]
