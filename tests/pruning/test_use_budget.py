"""What is left of a budget is used: features reopen, best first, and never past it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated

from tinybar import pruning
from tinybar.pruning import COSTS
from tinybar.pruning.enforce import REOPENED


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
    before, spent, features = alive(model), cost.exact(model), computed(model)
    target = spent + share * (cost.full(model) - spent)
    assert pruning.use_budget(model, cost, target) == computed(model) - features >= 0
    now = cost.exact(model)
    assert spent <= now <= target
    assert (alive(model) >= before).all()  # nothing closes
    for gate in pruning.gates_of(model):
        for feature in np.flatnonzero(~gate.alive()):
            kept = gate.log_alpha.data[feature]
            gate.log_alpha.data[feature] = REOPENED
            with_it = cost.exact(model)
            assert with_it == now or with_it > target  # it adds nothing, or does not fit
            gate.log_alpha.data[feature] = kept
    assert pruning.use_budget(model, cost, target) == 0


def test_the_best_reopens_first():
    model, _ = random_model(0)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 1.0
    gate = model.blocks[2].gate1  # 64 features of one pixel
    gate.log_alpha.data[:3] = (-2.0, -1.7, -1.9)
    spent = COSTS["volume"].exact(model)
    assert pruning.use_budget(model, COSTS["volume"], spent + 2) == 2
    assert gate.alive()[:3].tolist() == [False, True, True]
    np.testing.assert_allclose(gate.log_alpha.data[:3], [-2.0, REOPENED, REOPENED], rtol=1e-6)


def test_a_block_that_fell_with_its_last_feature_comes_back():
    model, _ = random_model(0)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 1.0
    block = model.blocks[1]
    full = COSTS["volume"].exact(model)
    block.gate2.log_alpha.data[...] = -2.0
    block.gate2.log_alpha.data[5] = -1.8
    fallen = COSTS["volume"].exact(model)
    inner, area = block.gate1.log_alpha.size, 4
    assert full - fallen == (inner + block.gate2.log_alpha.size) * area
    assert pruning.use_budget(model, COSTS["volume"], fallen + (inner + 1) * area) == inner + 1
    assert np.flatnonzero(block.gate2.alive()).tolist() == [5]


def test_features_of_a_block_that_stays_dead_stay_closed():
    model, _ = random_model(0)
    block = model.blocks[1]
    for gate in (block.gate1, block.gate2):
        gate.log_alpha.data[...] = -3.0
    spent = COSTS["volume"].exact(model)
    assert pruning.use_budget(model, COSTS["volume"], spent) == 0
    assert not block.gate1.alive().any()
