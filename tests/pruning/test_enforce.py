"""Hard pruning: which channels close and reopen, in which order, and when none is left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, random_gates

import tinybar as tb
from tinybar import nn, pruning
from tinybar.autograd.gates import THRESHOLD
from tinybar.pruning import COSTS, BudgetError

CLOSED, REOPENED = nn.HardConcrete.closed, nn.HardConcrete.reopened

VOLUME, FLOPS = COSTS["volume"], COSTS["flops"]


def open_model(seed=0, width=1):
    """All channels alive, every log alpha different."""
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


def test_the_lowest_scores_close_first_and_no_more_than_needed():
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


def test_dead_channels_are_not_closed():
    """Those of a dead block have lower scores, but closing them would save nothing."""
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
    kept_gates = [gate for gate in pruning.gates_of(model) if gate.keep_one]
    assert [int(gate.alive().sum()) for gate in kept_gates] == [1, 1, 1]
    with pytest.raises(BudgetError, match=f"its smallest cost is {smallest:,}") as error:
        pruning.enforce_budget(model, cost, smallest - 1)
    assert f"cannot be pruned to {smallest - 1:,}" in str(error.value)


def test_a_gate_with_keep_one_keeps_its_best_channel():
    model = open_model()
    best = [int(gate.log_alpha.data.argmax()) for gate in pruning.gates_of(model) if gate.keep_one]
    pruning.enforce_budget(model, VOLUME, VOLUME.smallest(model))
    kept_gates = [gate for gate in pruning.gates_of(model) if gate.keep_one]
    assert [np.flatnonzero(gate.alive()).tolist() for gate in kept_gates] == [[b] for b in best]


def test_a_plain_network_has_nothing_to_close():
    plain = nn.wide_resnet(10, 1, 4, (4, 4, 1))
    with pytest.raises(BudgetError):
        pruning.enforce_budget(plain, VOLUME, VOLUME.full(plain) - 1)


def test_a_flop_budget():
    model = random_gates(gated(10, 2), np.random.default_rng(3), shares=(0.9,))
    target = FLOPS.exact(model) // 3
    assert pruning.enforce_budget(model, FLOPS, target) > 0
    assert FLOPS.exact(model) <= target


# --- what is left of the budget is used -----------------------------------------------------------


def random_model(seed):
    rng = np.random.default_rng(seed)
    model = gated(10, 1, image_shape=(4, 4, 1))
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.normal(-2, 1, gate.log_alpha.shape)
    return model, rng


def alive(model) -> np.ndarray:
    return np.concatenate([gate.alive() for gate in pruning.gates_of(model)])


def computed(model) -> int:
    return sum(int(layer.writes.sum()) for layer in pruning.hard_pruned(model))


@pytest.mark.parametrize("metric", sorted(COSTS))
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_it_grows_within_the_budget_until_nothing_more_fits(metric, seed, share):
    model, _ = random_model(seed)
    cost = COSTS[metric]
    before, spent, channels = alive(model), cost.exact(model), computed(model)
    target = spent + share * (cost.full(model) - spent)
    assert pruning.use_budget(model, cost, target) == computed(model) - channels >= 0
    now = cost.exact(model)
    assert spent <= now <= target
    assert (alive(model) >= before).all()  # nothing closes
    for gate in pruning.gates_of(model):
        for channel in np.flatnonzero(~gate.alive()):
            kept = gate.log_alpha.data[channel]
            gate.log_alpha.data[channel] = REOPENED
            with_it = cost.exact(model)
            assert with_it == now or with_it > target  # it adds nothing, or does not fit
            gate.log_alpha.data[channel] = kept
    assert pruning.use_budget(model, cost, target) == 0


def test_the_best_reopens_first():
    model, _ = random_model(0)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 1.0
    gate = model.blocks[2].gate1  # 64 channels of one pixel
    gate.log_alpha.data[:3] = (-2.0, -1.7, -1.9)
    spent = COSTS["volume"].exact(model)
    assert pruning.use_budget(model, COSTS["volume"], spent + 2) == 2
    assert gate.alive()[:3].tolist() == [False, True, True]
    np.testing.assert_allclose(gate.log_alpha.data[:3], [-2.0, REOPENED, REOPENED], rtol=1e-6)


def test_a_block_that_died_with_its_last_channel_is_alive_again():
    model, _ = random_model(0)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 1.0
    block = model.blocks[1]
    full = COSTS["volume"].exact(model)
    block.gate2.log_alpha.data[...] = -2.0
    block.gate2.log_alpha.data[5] = -1.8
    dead = COSTS["volume"].exact(model)
    inner, area = block.gate1.log_alpha.size, 4
    assert full - dead == (inner + block.gate2.log_alpha.size) * area
    assert pruning.use_budget(model, COSTS["volume"], dead + (inner + 1) * area) == inner + 1
    assert np.flatnonzero(block.gate2.alive()).tolist() == [5]


def test_channels_of_a_dead_block_stay_closed():
    model, _ = random_model(0)
    block = model.blocks[1]
    for gate in (block.gate1, block.gate2):
        gate.log_alpha.data[...] = -3.0
    spent = COSTS["volume"].exact(model)
    assert pruning.use_budget(model, COSTS["volume"], spent) == 0
    assert not block.gate1.alive().any()


@pytest.mark.parametrize("best", [-3.0, THRESHOLD + 0.05])
def test_the_channel_that_keep_one_raises_stays_as_it_is_when_others_reopen(best):
    """Where a better channel opens beside it, keep_one would raise that one, and this one close."""
    model, _ = random_model(0)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 1.0
    gate = model.stem_gate
    gate.log_alpha.data[...] = -5
    gate.log_alpha.data[3] = best
    z = gate.mean().data[3]
    assert pruning.use_budget(model, VOLUME, VOLUME.full(model)) == 15
    assert VOLUME.exact(model) == VOLUME.full(model)
    assert gate.mean().data[3] == z


def test_a_reopened_channel_of_the_signal_changes_the_function():
    """z is 0.015, but the batch norm that reads the signal undoes its scale."""
    rng = np.random.default_rng(0)
    model = open_model()
    x = tb.Tensor(rng.standard_normal((16, 4, 4, 1)))
    for gate in (model.stem_gate, model.blocks[0].gate1):
        gate.set_score(2, gate.closed)
    nn.recompute_statistics(model, [x])
    before, changes = model(x).data, []
    for gate in (model.blocks[0].gate1, model.stem_gate):
        gate.set_score(2, gate.reopened)
        nn.recompute_statistics(model, [x])
        changes.append(abs(model(x).data - before).max() / abs(before).max())
        gate.set_score(2, gate.closed)
    inside, on_the_signal = changes
    assert inside < 0.01
    assert on_the_signal > 0.05
