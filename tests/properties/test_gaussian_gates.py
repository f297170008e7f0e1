"""Counts, hard pruning, compaction and BAR's penalty work with Gaussian gates, too."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import SHARES, bottlenecks, images, randomise

import tinybar as tb
from tinybar import nn, pruning
from tinybar.pruning.methods.bar import BudgetAwarePenalty

SEEDS = st.integers(0, 2**32 - 1)
FAMILIES = st.sampled_from(["hard", "soft", "bottlenecks"])  # wide networks by their --live


def random_network(seed, family, shape=(6, 5, 2), dtype=np.float64):
    """In evaluation mode; shares of channels are alive as drawn, and some mu are negative."""
    rng = np.random.default_rng(seed)
    if family == "bottlenecks":
        model = bottlenecks(4, shape, nn.Gaussian)
    else:
        model = nn.wide_resnet(10, 1, 4, shape, nn.Gaussian, family)
    randomise(model.astype(dtype).eval(), rng)
    for gate in pruning.gates_of(model):
        n = gate.mu.shape
        alive = rng.random(n) < rng.choice(SHARES)
        ratio = np.where(alive, rng.uniform(1.05, 50, n), rng.uniform(-3, 0.95, n))
        gate.log_sigma.data[...] = rng.uniform(-5, 0, n)
        gate.mu.data[...] = ratio * np.exp(gate.log_sigma.data)
    return model, rng


def logits(model, x):
    with tb.no_grad():
        return model(tb.Tensor(x)).data


@given(SEEDS, FAMILIES, st.sampled_from([(np.float64, 1e-10), (np.float32, 1e-5)]))
def test_compact_is_the_same_function(seed, family, precision):
    dtype, bound = precision
    model, rng = random_network(seed, family, dtype=dtype)
    x = images(model, rng)
    expected, found = logits(model, x), logits(pruning.compact(model), x)
    assert np.abs(expected - found).max() <= bound * np.abs(expected).max()


@given(SEEDS, FAMILIES, st.floats(0, 1), st.sampled_from(sorted(pruning.COSTS)))
def test_a_budget_is_kept_and_used(seed, family, share, metric):
    model, _ = random_network(seed, family)
    cost = pruning.COSTS[metric]
    smallest = cost.smallest(model)
    budget = smallest + int(share * (cost.full(model) - smallest))
    pruning.enforce_budget(model, cost, budget)
    before = cost.exact(model)
    grown = pruning.use_budget(model, cost, budget)
    assert before <= cost.exact(model) <= budget
    assert (cost.exact(model) > before) == (grown > 0)
    assert cost.exact(pruning.compact(model)) == cost.exact(model)


@pytest.mark.parametrize("metric", sorted(pruning.COSTS))
def test_bar_s_penalty_is_finite_and_closes_gates(metric):
    cost = pruning.COSTS[metric]
    model, _ = random_network(0, "hard")
    penalty = BudgetAwarePenalty(model, cost, cost.smallest(model), 10)(9)
    penalty.loss.backward()
    assert math.isfinite(penalty.loss.item())
    gates = pruning.gates_of(model)
    assert all((gate.mu.grad >= 0).all() for gate in gates)
    assert any((gate.mu.grad > 0).any() for gate in gates)
