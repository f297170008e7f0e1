"""Runs in which nothing was learnt or pruned say so, at the time and at the end."""

import json

import numpy as np
import pytest

from tinybar.cli import main
from tinybar.train import doubts

LABELS = np.repeat([0, 1, 2], (50, 30, 20))


@pytest.mark.parametrize(
    ("lr", "gate_lr", "words"),
    [
        (1e-3, None, []),
        (1e-2, 1, []),
        (1000, None, ["--lr 1000 "]),
        (1e-3, 1e-3, ["--gate-lr 0.001 "]),
    ],
)
def test_of_rates(lr, gate_lr, words):
    found = doubts.of_rates(lr, gate_lr, iterations=1000)
    assert len(found) == len(words)
    assert all(line.startswith(word) for line, word in zip(found, words, strict=True))


def test_of_a_loss_beyond_guessing():
    assert doubts.of_loss("teacher", 22, 10) is None
    assert "is 24, that of guessing is 2.3" in doubts.of_loss("teacher", 24, 10)


def test_of_an_accuracy_at_chance():
    assert doubts.of_accuracy("the teacher", 0.66, LABELS) is None
    for accuracy in (0.0, 0.5, 0.64):
        assert "class always, 0.500" in doubts.of_accuracy("the teacher", accuracy, LABELS)


def test_of_a_new_head_that_training_spoils():
    assert doubts.of_new_head(0.8, 0.8) is None
    assert "from accuracy 0.800, with a new head alone, to 0.750" in doubts.of_new_head(0.8, 0.75)


@pytest.mark.parametrize(
    ("reached", "words"),
    [(1000, "did not move"), (700, "came from 1,000 to 700 only"), (550, None)],
)
def test_of_a_cost_that_training_left_to_hard_pruning(reached, words):
    found = doubts.of_pruning("volume", 1000, reached, 125)
    assert (words in found) if words else found is None
    assert doubts.of_pruning("volume", 1000, 1000, 1000) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lr", "1000"], ["--lr 1000 moves", "loss of the first epoch", "accuracy of the teacher",
                            "accuracy of the pruned network"]),
        (["--gate-lr", "1e-9"], ["--gate-lr 1e-09 moves", "did not move"]),
    ],
)  # fmt: skip
def test_a_run_says_it_at_the_time_and_at_the_end(options, words, tmp_path, capsys):
    folder = tmp_path / "run"
    small = "--model", "wrn-10-1", "--teacher-epochs", "1", "--epochs", "1", "1", "0"
    assert main(["train", *small, *options, "--out", str(folder)]) == 0
    said = json.loads((folder / "result.json").read_text())["warnings"]
    printed = " ".join(capsys.readouterr().out.split())
    assert all(printed.count(f"warning: {line}") == 2 for line in said)
    for part in words:
        assert any(part in line for line in said), (part, said)
