"""The penalty of the method lagrangian, and a run of it. Its mathematics is audited."""

import dataclasses

import numpy as np
import pytest
from properties.networks import gated
from train.toy import TINY, metrics_of, pruned_of, resume_toy, run_toy, without_times

from tinybar import pruning
from tinybar.pruning import COSTS, budget
from tinybar.pruning.methods.lagrangian import INTEGRAL, Lagrangian
from tinybar.train.run import Run

VOLUME = COSTS["volume"]


def penalty_of(model, cost=VOLUME, factor=4, iterations=101, **options) -> Lagrangian:
    return Lagrangian(model, cost, cost.full(model) // factor, iterations, **options)


@pytest.mark.parametrize("schedule", ["sigmoid", "linear", "exponential"])
def test_b_is_that_of_equation_7(schedule):
    model = gated(image_shape=(4, 4, 1))
    made, full = penalty_of(model, schedule=schedule), VOLUME.full(model)
    for i in (0, 30, 100):
        assert made(i).b == budget(i / 100, full, full // 4, schedule)[1]
    assert made(200).b == made(100).b == pytest.approx(full // 4)  # it ends at B


@pytest.mark.parametrize("metric", sorted(COSTS))
def test_pressure_comes_with_the_first_violation(metric):
    model, cost = gated(image_shape=(4, 4, 1)), COSTS[metric]
    made = penalty_of(model, cost)
    assert made(0)[::3] == (None, 0.0)  # V = b = V_F
    found = made(100)
    assert found.cost == cost.full(model) > found.b
    assert made.memory.value == found.f > INTEGRAL / 101 * 0.7
    found.loss.backward()
    gradients = [gate.log_alpha.grad for gate in pruning.gates_of(model)]
    assert all((gradient > 0).all() for gradient in gradients)  # descent closes gates


def test_it_lets_go_where_the_cost_is_below_the_budget():
    model = gated(image_shape=(4, 4, 1))
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = -10
    made = penalty_of(model, start=1.0)
    while made.memory.value > 0:
        found = made(100)
    assert (found.loss, found.f) == (None, 0.0)


def test_dtype_is_the_gates():
    model = gated(image_shape=(4, 4, 1), dtype=np.float32)
    assert penalty_of(model, start=3.0)(100).loss.dtype == np.float32


def test_a_run_keeps_its_budget_and_records_the_multiplier(tmp_path):
    config = dataclasses.replace(TINY, method="lagrangian", lambda_=5.0)
    folder, facts = run_toy(tmp_path / "run", config)
    assert facts["cost"] <= facts["budget"]
    lines = metrics_of(folder.path)
    assert [line["f"] is not None for line in lines] == [line["stage"] == "prune" for line in lines]
    first = next(line for line in lines if line["stage"] == "prune")
    assert first["f"] >= 5 / 3  # the mean of three iterations: --lambda is where it starts
    assert first["b"] > lines[3]["b"] == pytest.approx(facts["budget"])


class Killed(BaseException):
    """Nothing is saved when it is raised."""


def test_killed_in_the_middle_of_its_stage_it_goes_on_from_the_last_checkpoint(
    tmp_path, monkeypatch
):
    """That of the epoch before: two steps are made again, from the multiplier of then."""
    config = dataclasses.replace(TINY, method="lagrangian")
    whole, _ = run_toy(tmp_path / "whole", config)
    after_step, made = Run._after_step, []

    def step(run, stage, progress):
        made.append(stage.name)
        after_step(run, stage, progress)
        if made.count("prune") == 5:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_after_step", step)
        with pytest.raises(Killed):
            run_toy(tmp_path / "run", config)
    folder, _ = resume_toy(tmp_path / "run")
    assert pruned_of(folder) == pruned_of(whole)
    assert without_times(folder) == without_times(whole)
