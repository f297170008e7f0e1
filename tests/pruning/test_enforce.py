"""Hard pruning: which features go, in which order, and when there is nothing left to close."""

import numpy as np
import pytest
from properties.networks import gated, random_gates

from tinybar import nn, pruning
from tinybar.autograd.gates import THRESHOLD
from tinybar.pruning import COSTS, BudgetError
from tinybar.pruning.enforce import CLOSED

VOLUME, FLOPS = COSTS["volume"], COSTS["flops"]


def open_model(seed=0, width=1):
    """All features alive, every log alpha different."""
    rng = np.random.default_rng(seed)
    model = gated(10, width, image_shape=(4, 4, 1))
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.uniform(-1.5, 2, gate.log_alpha.shape)
    return model


def log_alphas(model) -> np.ndarray:
    return np.concatenate([gate.log_alpha.data for gate in pruning.gates_of(model)])


def test_gates_of_lists_all():
    model = open_model()
    named = [p for name, p in model.named_parameters() if name.endswith("log_alpha")]
    found = [gate.log_alpha for gate in pruning.gates_of(model)]
    assert len(found) == 9
    assert {id(p) for p in named} == {id(p) for p in found}
    assert pruning.gates_of(nn.wide_resnet(10, 1, 4)) == []


def test_nothing_is_closed_within_the_budget():
    model = open_model()
    before = log_alphas(model)
    assert pruning.enforce_budget(model, VOLUME, VOLUME.full(model)) == 0
    assert np.array_equal(log_alphas(model), before)


def test_the_lowest_go_first_and_no_more_than_needed():
    model = open_model()
    before = log_alphas(model)
    full = VOLUME.full(model)
    closed = pruning.enforce_budget(model, VOLUME, full - 100)
    after = log_alphas(model)
    changed = after != before
    assert closed == changed.sum() > 1
    assert (after[changed] == CLOSED).all()
    assert before[changed].max() < before[~changed].min()
    assert VOLUME.exact(model) <= full - 100
    last = np.flatnonzero(changed)[before[changed].argmax()]
    _reopen(model, last, before[last])
    assert VOLUME.exact(model) > full - 100


def _reopen(model, place, value):
    for gate in pruning.gates_of(model):
        if place < gate.log_alpha.size:
            gate.log_alpha.data[place] = value
            return
        place -= gate.log_alpha.size


def test_features_that_are_not_computed_are_not_counted_as_closed():
    """Those of a dead block are lower, but closing them would gain nothing."""
    model = open_model()
    block = model.blocks[0]
    block.gate1.log_alpha.data[...] = THRESHOLD - 0.5
    block.gate2.log_alpha.data[...] = THRESHOLD + 1e-3
    before = block.gate2.log_alpha.data.copy()
    assert pruning.enforce_budget(model, VOLUME, VOLUME.exact(model) - 1) == 1
    assert np.array_equal(block.gate2.log_alpha.data, before)


@pytest.mark.parametrize("cost", [VOLUME, FLOPS])
def test_down_to_the_smallest_and_not_below(cost):
    model = open_model()
    smallest = cost.smallest(model)
    pruning.enforce_budget(model, cost, smallest)
    assert cost.exact(model) == smallest
    vital = [gate for gate in pruning.gates_of(model) if gate.vital]
    assert [int(gate.alive().sum()) for gate in vital] == [1, 1, 1]
    with pytest.raises(BudgetError, match=f"its smallest cost is {smallest:,}") as error:
        pruning.enforce_budget(model, cost, smallest - 1)
    assert f"cannot be pruned to {smallest - 1:,}" in str(error.value)


def test_the_best_feature_of_a_vital_gate_is_kept():
    model = open_model()
    best = [int(gate.log_alpha.data.argmax()) for gate in pruning.gates_of(model) if gate.vital]
    pruning.enforce_budget(model, VOLUME, VOLUME.smallest(model))
    vital = [gate for gate in pruning.gates_of(model) if gate.vital]
    assert [np.flatnonzero(gate.alive()).tolist() for gate in vital] == [[b] for b in best]


def test_a_plain_network_has_nothing_to_close():
    plain = nn.wide_resnet(10, 1, 4, (4, 4, 1))
    with pytest.raises(BudgetError):
        pruning.enforce_budget(plain, VOLUME, VOLUME.full(plain) - 1)


def test_a_flop_budget():
    model = random_gates(gated(10, 2), np.random.default_rng(3), shares=(0.9,))
    target = FLOPS.exact(model) // 3
    assert pruning.enforce_budget(model, FLOPS, target) > 0
    assert FLOPS.exact(model) <= target


def test_frozen_gates_learn_no_more():
    model = open_model()
    pruning.expected_volume(model).backward()
    pruning.freeze(model)
    assert all(gate.log_alpha.grad is None for gate in pruning.gates_of(model))
    assert not pruning.expected_volume(model).requires_grad
