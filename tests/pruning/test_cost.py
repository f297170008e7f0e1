"""Costs at their edges; `tinybar audit` derives exact and expected ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, random_gates

import tinybar as tb
from tinybar import nn, pruning
from tinybar.pruning import COSTS
from tinybar.pruning.cost import cost

NETWORKS = [(10, 1, (8, 8, 3)), (10, 2, (7, 5, 1)), (16, 1, (9, 6, 2)), (16, 2, (1, 3, 1))]


@given(seed=st.integers(0, 2**32 - 1), network=st.sampled_from(NETWORKS))
def test_mixed_connectivity_never_costs_more(seed, network):
    depth, width, shape = network
    model = random_gates(gated(depth, width, image_shape=shape), np.random.default_rng(seed))
    for metric in COSTS.values():
        mixed, regular = metric.exact(model), metric.exact(model, "regular")
        assert metric.smallest(model) <= mixed <= regular <= metric.full(model)


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_full_and_smallest(metric):
    metric, shape = COSTS[metric], (7, 6, 3)
    model = random_gates(gated(16, 1, image_shape=shape), np.random.default_rng(0))
    plain = nn.wide_resnet(16, 1, 4, shape)
    assert metric.full(model) == metric.exact(plain) == metric.full(plain)
    smallest = metric.smallest(model)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = -9
    assert metric.exact(model) == smallest


def test_connectivity_errors():
    with pytest.raises(ValueError, match="unknown connectivity 'dense'"):
        pruning.volume(gated(), "dense")
    with pytest.raises(ValueError, match="not on a compact one"):
        pruning.volume(pruning.compact(gated()), "regular")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="a cost called 'volume' exists already"):
        cost("volume")(lambda site, reads, writes: 0)


# --- expectations --------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", sorted(COSTS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_expectation_is_the_full_cost_when_all_gates_are_surely_open(metric, dtype):
    model = gated(10, 2, dtype=dtype)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 60
    expected = COSTS[metric].expected(model)
    assert expected.dtype == dtype
    assert expected.shape == ()
    assert expected.item() == pytest.approx(COSTS[metric].full(model), rel=1e-6)


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_without_gates_the_expectation_is_the_cost(metric):
    plain = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    assert COSTS[metric].expected(plain).item() == COSTS[metric].exact(plain)


def test_where_a_path_may_be_dead_the_expectation_is_an_upper_bound():
    """One inner channel is open with probability 1/2: the delta is dead in half of the cases."""
    model = gated(10, 1, image_shape=(4, 4, 1))
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 60
    gate = model.blocks[0].gate1
    gate.log_alpha.data[...] = -60
    dead = pruning.volume(model)
    gate.log_alpha.data[0] = 60
    alive = pruning.volume(model)
    gate.log_alpha.data[0] = 2 / 3 * np.log(1 / 11)  # P(z > 0) = 1/2
    assert pruning.expected_volume(model).item() == pytest.approx(alive - 16 / 2)
    assert (dead + alive) / 2 < alive - 16 / 2


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_gradients_of_the_expectations(metric):
    model = gated(10, 1, image_shape=(4, 4, 1))
    gates = [model.stem_gate, model.blocks[1].shortcut_gate, model.blocks[0].gate2]

    def expected(*values):
        for gate, value in zip(gates, values, strict=True):
            gate.log_alpha = value
        return COSTS[metric].expected(model) * 1e-3

    rng = np.random.default_rng(0)
    tb.gradcheck(expected, [rng.uniform(-2, 2, gate.log_alpha.shape) for gate in gates], rtol=1e-5)
