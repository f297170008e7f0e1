"""Halving rounds: how many, to which budgets, and what each of them begins with."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train.toy import TINY, metrics_of, run_toy

from tinybar import pruning
from tinybar.pruning.methods import METHODS
from tinybar.pruning.methods.rounds import count, epochs, halvings
from tinybar.train.models import load_model

IN_ROUNDS = [name for name, method in METHODS.items() if method.epochs is epochs]


def test_of_the_test_these_are_the_methods():
    assert {"random", "magnitude", "vq", "id"} <= set(IN_ROUNDS)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (3200, [3200]),
        (2400, [2400]),
        (1600, [1600]),
        (400, [1600, 800, 400]),
        (399, [1600, 800, 399]),  # 8x, rounded down
        (320, [1600, 800, 400, 320]),
        (200, [1600, 800, 400, 200]),
    ],
)
def test_half_of_what_is_left(budget, expected):
    assert halvings(3200, budget) == expected


@given(full=st.integers(1000, 10**7), share=st.floats(0.001, 1))
def test_budgets_fall_to_the_one_asked_for(full, share):
    budget = max(1, int(full * share))
    found = halvings(full, budget)
    assert found[-1] == budget
    assert len(found) == count(full / budget)
    assert all(a > b >= 0.48 * a for a, b in zip([full + 1, *found], found, strict=False))


@pytest.mark.parametrize("name", IN_ROUNDS)
def test_a_run_in_rounds(name, tmp_path):
    config = dataclasses.replace(TINY, method=name, budget="5x")
    folder, facts = run_toy(tmp_path / "run", config)
    lines = metrics_of(folder.path)[2:]
    assert [line["stage"] for line in lines] == [f"round {k}" for k in (1, 2, 3) for _ in range(2)]
    assert len(lines) == METHODS[name].epochs(config, 5.0)
    costs = [line["cost"] for line in lines[::2]]
    for k, cost in enumerate(costs, 1):
        assert 0.85 < cost * min(2**k, 5) / facts["volume_full"] <= 1
    small, _ = load_model(folder.pruned)
    assert costs[-1] == pruning.volume(small) == facts["volume_regular"] <= facts["budget"]
