"""L0 regularization: its loss, and whole runs, also such as never prune by themselves."""

import dataclasses

import numpy as np
import pytest
from properties.networks import gated, random_gates
from train.toy import TINY, cut_toy, metrics_of, pruned_of, resume_toy, run_toy, without_times

from tinybar import pruning
from tinybar.pruning.methods.l0 import price
from tinybar.pruning.methods.search import STEPS, is_found, sparsity
from tinybar.train.run import Run

L0 = dataclasses.replace(TINY, method="l0")
PRUNES = dataclasses.replace(L0, epochs=(12, 1, 1), teacher_epochs=1, budget="2x")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A run whose lambda is found, and its facts."""
    return run_toy(tmp_path_factory.mktemp("l0") / "run", PRUNES)


def test_every_channel_has_the_same_price_whatever_its_area():
    model = random_gates(gated(10, 1, image_shape=(8, 8, 1)), np.random.default_rng(0))
    loss = sparsity(model, price)()
    loss.backward()
    p = [gate.probability_open().data for gate in pruning.gates_of(model)]
    assert loss.item() == pytest.approx(sum(map(np.sum, p)), rel=1e-12)
    for gate, each in zip(pruning.gates_of(model), p, strict=True):
        if not gate.keep_one:
            np.testing.assert_allclose(gate.log_alpha.grad, each * (1 - each), rtol=1e-12)


def test_lambda_is_searched_and_the_budget_kept(pruned):
    folder, facts = pruned
    *_, (weight, cost) = facts["probes"]
    assert is_found(cost, facts["budget"])
    assert facts["cost"] == cost
    assert facts["dropped"] == facts["reopened"] == 0
    assert not [line for line in facts["warnings"] if "lambda" in line]
    stages = list(dict.fromkeys(line["stage"] for line in metrics_of(folder.path)))
    assert stages == ["teacher", *(f"lambda {w:.4g}" for w, _ in facts["probes"]), "fine-tune"]
    assert weight == facts["probes"][-1][0]


def test_every_probe_begins_with_the_same_weights_and_draws(tmp_path):
    """Where lambda is too small to matter, two probes are the same run."""
    options = dataclasses.replace(L0, budget="1.01x", lambda_=1e-25)
    folder, _ = run_toy(tmp_path / "run", dataclasses.replace(options, gate_lr=1e-9))
    lines = [line for line in without_times(folder) if line["stage"].startswith("lambda")]
    first, second = (
        [line["loss_data"] for line in lines if line["stage"] == stage]
        for stage in dict.fromkeys(line["stage"] for line in lines[:4])
    )
    assert first == second


def test_a_run_too_short_to_prune_ends_within_its_budget_with_a_warning(tmp_path):
    _, facts = run_toy(tmp_path / "run", dataclasses.replace(L0, epochs=(1, 0, 0), gate_lr=1e-9))
    assert len(facts["probes"]) == STEPS + 1
    assert {cost for _, cost in facts["probes"]} == {facts["volume_full"]}
    assert facts["cost"] <= facts["budget"]
    assert facts["dropped"] > 0
    (line,) = [line for line in facts["warnings"] if "within 10 %" in line]
    assert f"{facts['dropped']} more channels" in line
    assert not [line for line in facts["warnings"] if "--epochs" in line]  # one line is enough


def test_the_search_starts_with_the_lambda_that_is_given(tmp_path):
    _, facts = run_toy(tmp_path / "run", dataclasses.replace(L0, lambda_=0.0123456))
    assert facts["probes"][0][0] == 0.01235


def test_no_teacher_teaches(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "data_loss", property(lambda run: pytest.fail("distillation")))
    run_toy(tmp_path / "run", L0)


@pytest.mark.parametrize("n", [4, 9, 10, 30])
def test_interrupted_in_any_probe_it_goes_on_bit_for_bit(n, tmp_path, pruned):
    """After n epochs: in the first probe, later ones, and with less than a whole stage done."""
    whole, facts = pruned
    cut_toy(tmp_path / "cut", PRUNES, n)
    cut, again = resume_toy(tmp_path / "cut")
    assert pruned_of(cut) == pruned_of(whole)
    assert without_times(cut) == without_times(whole)
    for name in ("probes", "training_flops", "warnings", "dropped"):
        assert again[name] == facts[name]
