"""The information bottleneck: its loss, and whole runs."""

import dataclasses
import math

import numpy as np
import pytest
from train.toy import TINY, cut_toy, metrics_of, pruned_of, resume_toy, run_toy, without_times

from tinybar import nn, pruning
from tinybar.pruning.methods.ib import price
from tinybar.pruning.methods.search import nearest, sparsity

IB = dataclasses.replace(
    TINY, method="ib", epochs=(8, 1, 1), teacher_epochs=1, budget="2x", lambda_=1e-10
)


def test_a_nat_costs_the_side_of_its_feature_map():
    model = nn.wide_resnet(10, 1, 3, (8, 8, 1), nn.Gaussian).astype(np.float64)
    rng, expected = np.random.default_rng(0), 0.0
    for site in pruning.sites(model):
        site.gate.mu.data[...] = rng.uniform(0.5, 2, site.gate.mu.shape)
        site.gate.log_sigma.data[...] = rng.uniform(-3, -1, site.gate.mu.shape)
        ratio = site.gate.mu.data / np.exp(site.gate.log_sigma.data)
        expected += math.sqrt(site.area) * 0.5 * np.log(1 + ratio**2).sum()
    assert {price(site) for site in pruning.sites(model)} == {8, 4, 2}
    assert sparsity(model, price)().item() == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A run, and its facts."""
    return run_toy(tmp_path_factory.mktemp("ib") / "run", IB)


def test_lambda_is_searched_and_the_budget_kept(pruned):
    folder, facts = pruned
    _, reached = nearest(facts["probes"], facts["budget"])
    assert facts["cost"] <= min(reached, facts["budget"])
    assert (facts["dropped"] > 0) == (reached > facts["budget"])
    lines = metrics_of(folder.path)
    assert {line["b"] for line in lines} == {None}
    assert all(line["loss_penalty"] > 0 for line in lines if line["stage"].startswith("lambda"))


@pytest.mark.parametrize("n", [2, 8])
def test_interrupted_in_a_probe_it_goes_on_bit_for_bit(n, tmp_path, pruned):
    whole, facts = pruned
    cut_toy(tmp_path / "cut", IB, n)
    cut, again = resume_toy(tmp_path / "cut")
    assert pruned_of(cut) == pruned_of(whole)
    assert without_times(cut) == without_times(whole)
    assert again["probes"] == facts["probes"]
