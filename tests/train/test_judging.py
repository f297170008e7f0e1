"""How a network is judged: accuracies, and the statistics of batch norm that they need."""

import numpy as np
import pytest
from train.toy import TINY, metrics_of, pruned_of, run_toy, toy

from tinybar import nn
from tinybar.runtime import random
from tinybar.train import images as module
from tinybar.train.config import Config
from tinybar.train.images import Images


@pytest.mark.parametrize("gate", [None, nn.HardConcrete])
def test_a_gated_network_is_judged_by_its_own_statistics_and_keeps_those_it_has(gate):
    net, images = nn.build("wrn-10-1", 3, (6, 6, 1), gate), Images(toy())
    nn.recompute_statistics(net, images.for_statistics())
    right = images.epoch_accuracies(net)
    net.bn.running_mean += np.linspace(-9, 9, 64)  # of other gates, say
    before = net.state_dict()
    assert (images.epoch_accuracies(net) == right) == (gate is not None)
    assert all(np.array_equal(before[name], array) for name, array in net.state_dict().items())


def test_the_statistics_are_those_of_the_same_images_at_every_call():
    images = Images(toy(n=1500))
    first, second = list(images.for_statistics()), list(images.for_statistics())
    assert [len(x) for x in first] == [256] * 4
    assert all(np.array_equal(a.data, b.data) for a, b in zip(first, second, strict=True))
    assert random.streams_state()["streams"] == {}
    rows = {x.tobytes() for minibatch in first for x in minibatch.data}
    assert rows <= {x.tobytes() for x in images.train[:]}
    assert len(rows) == 1024


def test_training_does_not_notice(tmp_path, monkeypatch):
    runs = []
    for n in (2, 1024):
        monkeypatch.setattr(module, "STATISTICS", n)
        folder, _ = run_toy(tmp_path / f"{n}")
        runs.append((pruned_of(folder), [line["loss"] for line in metrics_of(folder.path)]))
    assert runs[0] == runs[1]


def test_what_is_not_fine_tuned_has_statistics_of_its_own(tmp_path):
    _, facts = run_toy(tmp_path / "run", Config(**{**vars(TINY), "epochs": (1, 0, 0)}))
    assert facts["accuracy"] == facts["accuracy_hard"]
