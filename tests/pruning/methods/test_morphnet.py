"""MorphNet: which channels count, and a run of it. Its mathematics is audited."""

import dataclasses

import numpy as np
import pytest
from train.toy import TINY, metrics_of, run_toy

from tinybar import nn, pruning
from tinybar.pruning import COSTS
from tinybar.pruning.methods.morphnet import PRESSURE, THRESHOLD, PricedScales
from tinybar.train.errors import TrainingError
from tinybar.train.loop import optimizer_of
from tinybar.train.models import load_model

VOLUME = COSTS["volume"]


def test_a_channel_counts_if_any_of_its_scales_is_above_the_threshold():
    model = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    made = PricedScales(model, VOLUME)
    assert made.widths() == [16, 16, 32, 32, 64, 64]
    for gamma in made.moved:
        gamma.data[...] = -THRESHOLD / 2
    assert made.widths() == [0] * 6
    first, second, third = model.blocks
    first.bn1.gamma.data[[0, 1]] = -2 * THRESHOLD  # both read the stem's signal
    second.bn1.gamma.data[[1, 2]] = 2 * THRESHOLD
    third.bn2.gamma.data[5] = 1.0
    model.bn.gamma.data[:7] = 1.0
    assert made.widths() == [3, 0, 0, 0, 7, 1]


def test_the_default_price_of_a_whole_network_is_its_pressure():
    """Of volumes: sum_g r_g C_g = V_F, where every gamma is 1."""
    model = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    found = PricedScales(model, VOLUME)(0)
    assert found.loss.item() == pytest.approx(PRESSURE, rel=1e-6)
    assert found.cost == VOLUME.full(model)
    assert PricedScales(model, VOLUME, 3.0)(0).f == 3.0


@pytest.mark.parametrize(("gate_lr", "iterations", "expected"), [
    (None, 100, PricedScales.travel / 100), (None, 10**6, 1e-3), (0.02, 100, 0.02)
])  # fmt: skip
def test_scales_have_a_learning_rate_of_their_own_and_no_decay(gate_lr, iterations, expected):
    model = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    config = dataclasses.replace(TINY, gate_lr=gate_lr)
    penalty = PricedScales(model, VOLUME)
    others, scales = optimizer_of(model, config, iterations, penalty).groups
    assert {id(p) for p in scales["params"]} == {id(p) for p in penalty.moved}
    assert (scales["lr"], scales["weight_decay"]) == (expected, 0.0)
    assert (others["lr"], others["weight_decay"]) == (1e-3, 5e-4)
    assert len(others["params"]) + len(scales["params"]) == len(list(model.parameters()))


def test_a_run_ends_in_other_widths_within_its_budget(tmp_path):
    config = dataclasses.replace(TINY, method="morphnet", epochs=(40, 1, 1))
    folder, facts = run_toy(tmp_path / "run", config)
    lines = metrics_of(folder.path)
    assert [line["stage"] for line in lines[2:]] == ["sparsify"] * 40 + ["train"] * 2
    assert all(line["loss_penalty"] > 0 for line in lines[2:42])
    small, _ = load_model(folder.pruned)
    assert pruning.volume(small) == facts["volume_regular"] == facts["cost"] <= facts["budget"]
    shares = np.array([left / before for _, left, before, _ in facts["channels"]])
    assert shares.max() > 1.5 * shares.min()


def test_a_price_that_leaves_no_channel_is_told(tmp_path):
    config = dataclasses.replace(TINY, method="morphnet", epochs=(40, 1, 1), lambda_=0.05)
    with pytest.raises(TrainingError, match="a smaller --lambda"):
        run_toy(tmp_path / "run", config)
