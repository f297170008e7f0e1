"""The penalty of BAR: lambda L_BAR, finite, while b falls to B."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, random_gates

import tinybar as tb
from tinybar import pruning
from tinybar.pruning import COSTS, barrier, transition
from tinybar.pruning.methods.bar import CAP, PRESSURE, TOLERANCE, BudgetAwarePenalty, bar_loss

VOLUME = COSTS["volume"]


def all_open(**options):
    model = gated(10, 1, image_shape=(4, 4, 1), **options)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = np.linspace(0, 0.01, gate.log_alpha.size)
    return model


def penalty_of(model, cost=VOLUME, factor=4, iterations=100, **options):
    return BudgetAwarePenalty(model, cost, cost.full(model) // factor, iterations, **options)


def test_equation_6():
    sparsity = tb.Tensor(np.array(3.0), requires_grad=True)
    loss = bar_loss(sparsity, 2.5)
    loss.backward()
    assert loss.item() == 7.5
    assert sparsity.grad == 2.5  # f is a constant


def test_b_begins_above_the_full_cost_and_ends_at_the_budget():
    model = all_open()
    made = penalty_of(model)
    full, target = VOLUME.full(model), VOLUME.full(model) // 4
    first, last = made(0), made(99)
    assert first.b == pytest.approx((1 + TOLERANCE) * full)
    assert last.b == pytest.approx(target, rel=1e-12)
    assert first.cost == last.cost == full
    bs = [made(i).b for i in range(100)]
    assert bs == sorted(bs, reverse=True)


@pytest.mark.parametrize("schedule", ["sigmoid", "linear", "exponential"])
def test_b_follows_the_schedule(schedule):
    model = all_open()
    made = penalty_of(model, schedule=schedule, iterations=11, tolerance=0.1)
    full, target = VOLUME.full(model), VOLUME.full(model) // 4
    for i in range(11):
        progress = transition(i / 10, schedule)
        expected = (1 - progress) * 1.1 * full + progress * target
        assert made(i).b == pytest.approx(expected, rel=1e-12)


def test_after_the_last_iteration_the_budget_stays():
    made = penalty_of(all_open())
    assert made(1000).b == made(99).b


def test_a_single_iteration():
    made = penalty_of(all_open(), iterations=1)
    assert math.isfinite(made(0).f)


def test_f_is_the_barrier_where_that_is_small():
    model = all_open()
    found = penalty_of(model)(0)
    full, target = VOLUME.full(model), VOLUME.full(model) // 4
    assert found.f == barrier(full, target - 1e-4 * full, found.b)
    assert 0 < found.f < CAP


def test_past_b_f_is_the_cap():
    found = penalty_of(all_open(), cap=17.0)(99)
    assert found.cost > found.b
    assert found.f == 17


def test_within_the_budget_there_is_no_penalty():
    model = all_open()
    made = penalty_of(model)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[1:] = -9
    found = made(99)
    assert (found.loss, found.f) == (None, 0)
    assert found.cost == VOLUME.exact(model) < found.b


@pytest.mark.parametrize("metric", sorted(COSTS))
@pytest.mark.parametrize("weight", [None, 1e-5])
@pytest.mark.parametrize("iteration", [0, 60, 99])
def test_value_and_gradient_are_weight_times_f_times_those_of_l_s(metric, weight, iteration):
    cost, model = COSTS[metric], all_open()
    made = penalty_of(model, cost, weight=weight)
    found = made(iteration)
    factor = (PRESSURE / cost.full(model) if weight is None else weight) * found.f
    found.loss.backward()
    gradients = [gate.log_alpha.grad for gate in pruning.gates_of(model)]
    for gate in pruning.gates_of(model):
        gate.log_alpha.grad = None
    sparsity = cost.expected(model)
    sparsity.backward()
    assert found.loss.item() == pytest.approx(factor * sparsity.item(), rel=1e-12)
    for gate, gradient in zip(pruning.gates_of(model), gradients, strict=True):
        np.testing.assert_allclose(gradient, factor * gate.log_alpha.grad, rtol=1e-12)
        assert (gradient > 0).all()  # descent closes gates


@given(
    seed=st.integers(0, 2**32 - 1),
    iteration=st.integers(0, 30),
    factor=st.sampled_from([1, 2, 16, 40]),
    metric=st.sampled_from(sorted(COSTS)),
    schedule=st.sampled_from(["sigmoid", "linear", "exponential"]),
)
def test_it_is_finite_whatever_the_gates(seed, iteration, factor, metric, schedule):
    model = gated(10, 1, image_shape=(4, 4, 1), dtype=np.float32)
    random_gates(model, np.random.default_rng(seed))
    made = penalty_of(model, COSTS[metric], factor, 31, schedule=schedule)
    found = made(iteration)
    assert 0 <= found.f <= CAP
    assert found.cost == COSTS[metric].exact(model)
    assert (found.loss is None) == (found.f == 0)
    if found.loss is not None:
        found.loss.backward()
        assert found.loss.dtype == np.float32
        assert math.isfinite(found.loss.item())
        grads = [gate.log_alpha.grad for gate in pruning.gates_of(model)]
        assert all(np.isfinite(grad).all() for grad in grads)


def test_the_budget_of_the_whole_network():
    """B = V_F: b only falls from the tolerance to V_F, and f stays finite."""
    made = penalty_of(all_open(), factor=1)
    assert made(0).b == pytest.approx(made.full * (1 + TOLERANCE))
    assert made(99).f <= CAP


@pytest.mark.parametrize(("width", "size"), [(1, 8), (2, 8), (4, 8), (1, 16)])
def test_the_default_pressure_on_a_gate_does_not_depend_on_resolution_but_on_width(width, size):
    """The figures of docs/audit.md."""
    model = gated(10, width, image_shape=(size, size, 1))
    gate = model.blocks[0].gate1
    gate.log_alpha.data[...] = 0
    (PRESSURE / VOLUME.full(model) * pruning.expected_volume(model)).backward()
    expected = {1: 3.3e-3, 2: 1.5e-3, 4: 7.9e-4}[width]
    np.testing.assert_allclose(gate.log_alpha.grad, expected, rtol=0.02)
