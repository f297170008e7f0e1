"""The effect of every option of a run."""

import dataclasses

import numpy as np
import pytest
from train.toy import TINY, metrics_of, pruned_of, resume_toy, run_toy, toy, without_times

from tinybar import nn, pruning
from tinybar.nn import skipping
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.models import load_model, save_model
from tinybar.train.run import check, train


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The metrics of a run with the options TINY."""
    return without_times(run_toy(tmp_path_factory.mktemp("plain") / "run")[0])


CHANGES = {
    "method": "scratch", "budget": "2x", "metric": "flops", "schedule": "linear", "distill": False,
    "alpha": 0.5, "temperature": 2.0, "lambda_": 0.5, "epochs": (3, 1, 1), "teacher_epochs": 3,
    "batch_size": 24, "lr": 2e-3, "gate_lr": 0.1, "weight_decay": 0.1, "seed": 1,
    "teacher_slow_epochs": 2, "init_from_teacher": True, "live": "soft",
}  # fmt: skip


@pytest.mark.parametrize("option", sorted(CHANGES))
def test_every_option_has_an_effect(option, plain, tmp_path):
    changed = run_toy(tmp_path / "run", Config(**{**vars(TINY), option: CHANGES[option]}))[0]
    lines = without_times(changed)
    first = next(i for i, (a, b) in enumerate(zip(lines, plain, strict=False)) if a != b)
    of_the_teacher = {
        "teacher_epochs", "teacher_slow_epochs", "batch_size", "lr", "weight_decay", "seed",
        "metric",
    }  # fmt: skip
    assert lines[first]["stage"] == ("teacher" if option in of_the_teacher else lines[2]["stage"])


def test_skipping_closed_channels_is_the_same_run_to_rounding(tmp_path, monkeypatch):
    skipped, compute = [], skipping.conv_of
    monkeypatch.setattr(skipping, "conv_of", lambda *a: skipped.append(1) or compute(*a))
    runs = []
    for skip_closed in (False, True):
        config = Config(**{**vars(TINY), "epochs": (8, 1, 1), "skip_closed": skip_closed})
        folder, facts = run_toy(tmp_path / f"{skip_closed}", config)
        runs.append((without_times(folder), facts["channels"]))
        assert bool(skipped) == skip_closed
    (lines, channels), (lines_skipping, channels_skipping) = runs
    assert channels == channels_skipping
    for line, other in zip(lines, lines_skipping, strict=True):
        for key in ("stage", "epoch", "volume", "b", "f"):
            assert other[key] == line[key]
        for key in ("loss_data", "loss_penalty"):  # accuracy_test depends on running statistics
            assert other[key] == pytest.approx(line[key], rel=1e-3)


def test_the_weights_decay_while_they_are_pruned(tmp_path):
    """Without distillation, the decay in the teacher's stage has no influence."""
    stages = []
    for decay in (0.0, 0.1):
        config = Config(**{**vars(TINY), "distill": False, "weight_decay": decay})
        lines = without_times(run_toy(tmp_path / f"{decay}", config)[0])
        stages.append([line for line in lines if line["stage"] == "prune"])
    assert stages[0] != stages[1]


def test_scratch_initializes_the_small_network_anew(tmp_path):
    """The variance of its weights is that of its own fan-in, not of the full network's."""
    options = {"method": "scratch", "epochs": (1, 0, 0), "lr": 1e-12}
    folder, _ = run_toy(tmp_path / "run", Config(**{**vars(TINY), **options}))
    weight = load_model(folder.pruned)[0].blocks[-1].conv2.weight.data
    fan_in = weight[..., 0].size
    assert fan_in < 9 * 64
    assert abs(weight.var() * fan_in / 2 - 1) < 5 * np.sqrt(2 / weight.size)


def test_validation_images_take_the_place_of_the_test_images(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TINY)
    facts = train(
        TINY, toy().with_validation(0.25), folder, lambda record: None, check(TINY, toy()).budget
    )
    lines = metrics_of(folder.path)
    assert {line["accuracy_test"] for line in lines} == {None}
    assert all(0 <= line["accuracy_val"] <= 1 for line in lines)
    assert facts["accuracy_val"] == lines[-1]["accuracy_val"]
    assert 0 <= facts["accuracy"] <= 1


def test_a_teacher_from_a_file_is_not_trained(tmp_path):
    first, facts = run_toy(tmp_path / "first")
    with_it = Config(**{**vars(TINY), "teacher": str(first.teacher), "init_from_teacher": True})
    folder, again = run_toy(tmp_path / "second", with_it)
    assert "teacher" not in {line["stage"] for line in metrics_of(folder.path)}
    assert folder.teacher.read_bytes() == first.teacher.read_bytes()
    for fact in ("accuracy_teacher", "volume_full", "flops_full", "params_full"):
        assert again[fact] == facts[fact]


def test_a_run_with_a_teacher_from_a_file_resumes_without_that_file(tmp_path):
    first, _ = run_toy(tmp_path / "first")
    teacher = tmp_path / "teacher.safetensors"
    config = Config(**{**vars(TINY), "teacher": str(teacher)})
    teacher.write_bytes(first.teacher.read_bytes())
    whole, _ = run_toy(tmp_path / "whole", config)

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "cut", config, stop)
    teacher.unlink()
    cut, _ = resume_toy(tmp_path / "cut")
    assert pruned_of(cut) == pruned_of(whole)


def test_pruning_can_start_with_the_teacher_s_weights(tmp_path):
    """At a learning rate of nearly zero, the entries of the pruned network are the teacher's."""
    options = {"init_from_teacher": True, "lr": 1e-12, "gate_lr": 0.05, "method": "bar"}
    folder, _ = run_toy(tmp_path / "run", Config(**{**vars(TINY), **options}))
    teacher, small = (load_model(path)[0] for path in (folder.teacher, folder.pruned))
    entries = teacher.blocks[-1].conv1.weight.data.ravel()
    kept = small.blocks[-1].conv1.weight.data.ravel()
    assert np.abs(entries - kept[:, None]).min(axis=1).max() < 1e-6


def test_a_teacher_that_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        check(Config(**{**vars(TINY), "teacher": str(tmp_path / "none")}), toy())
    save_model(tmp_path / "other", nn.build("wrn-10-2", 3, (6, 6, 1)), toy())
    with pytest.raises(ValueError, match="does not fit wrn-10-1: it holds wrn-10-2"):
        check(Config(**{**vars(TINY), "teacher": str(tmp_path / "other")}), toy())


def test_networks_with_the_activation_after_the_sum_are_trained(tmp_path):
    config = Config(**{**vars(TINY), "model": "resnet-8", "budget": "8x"})
    folder, facts = run_toy(tmp_path / "run", config)
    assert facts["cost"] == facts["volume"] <= facts["budget"]
    small = load_model(folder.pruned)[0]
    assert pruning.volume(small) == facts["volume"]


def test_only_wide_residual_networks_skip_closed_gates():
    with pytest.raises(ValueError, match="--skip-closed is for wide residual networks, not for"):
        check(Config(**{**vars(TINY), "model": "resnet-8", "skip_closed": True}), toy())


@pytest.mark.parametrize("metric", sorted(pruning.COSTS))
def test_every_metric_keeps_its_budget(metric, tmp_path):
    config = Config(**{**vars(TINY), "metric": metric, "budget": "3x"})
    folder, facts = run_toy(tmp_path / "run", config)
    small = load_model(folder.pruned)[0]
    assert pruning.COSTS[metric].exact(small) == facts["cost"] <= facts["budget"]


def test_every_option_is_tested():
    elsewhere = {"model", "skip_closed", "teacher"}  # above
    elsewhere |= {"data", "image_size", "val_fraction", "augment", "shift", "mirror"}  # tests/data
    elsewhere |= {"data_dir"}  # tests/cli
    elsewhere |= {"precision"}  # has an effect on a GPU only
    elsewhere |= {"conv_algorithm"}  # see tests/cli/test_train.py
    elsewhere |= {"checkpoint_minutes"}  # see test_interruption
    assert {f.name for f in dataclasses.fields(Config)} == CHANGES.keys() | elsewhere
