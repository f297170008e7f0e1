"""The rival of benchmarks/torch_pruning_rival.py has our networks, our counts and our loss."""

from dataclasses import replace

import numpy as np
import pytest

from tinybar import Tensor, nn, pruning
from tinybar.runtime import random
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.models import load_model, save_model

torch = pytest.importorskip("torch")
pytest.importorskip("torch_pruning")
pytestmark = pytest.mark.oracle

import torch_pruning_rival as rival  # noqa: E402
from peers.torch_peer import twin  # noqa: E402

IMAGE = torch.zeros(1, 1, 8, 8)
torch.set_num_threads(1)  # as the benchmark; threads would only wait for other tests


def teacher(name="wrn-10-1") -> nn.Module:
    """A network whose batch norms matter in evaluation, too."""
    net, rng = nn.build(name, 10, (8, 8, 1)), random.stream("teacher")
    for parts, array in net.named_arrays().items():
        if parts.rpartition(".")[2] in ("gamma", "beta", "running_mean", "running_var"):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
    return net.eval()


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a run that has its teacher."""
    config = Config(data="digits", model="wrn-10-1", epochs=(1, 0, 1), batch_size=256, seed=3)
    folder = RunFolder.create(tmp_path / "run", config)
    save_model(folder.teacher, teacher(), config.dataset())
    return folder


@pytest.mark.parametrize("name", ["wrn-10-2", "wrn-16-1", "resnet-20"])
def test_the_same_logits_and_the_same_costs(name, tmp_path):
    net = teacher(name)
    x = np.random.default_rng(0).standard_normal((16, 8, 8, 1)).astype(np.float32)
    theirs = rival.logits_of(twin(net), x).numpy()
    np.testing.assert_allclose(theirs, net(Tensor(x)).data, atol=1e-4)
    assert rival.costs(twin(net), IMAGE) == {
        "volume": pruning.volume(net),
        "flops": pruning.flops(net),
    }


def test_the_same_loss():
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((2, 16, 10))
    labels = rng.integers(0, 10, 16)
    ours = nn.distillation_loss(Tensor(logits), targets, labels, 0.7, 3.0).item()
    theirs = rival.distillation_loss(*map(torch.from_numpy, (logits, targets, labels)), 0.7, 3.0)
    assert theirs.item() == pytest.approx(ours, rel=1e-12)


@pytest.mark.parametrize("metric", rival.METRICS)
@pytest.mark.parametrize("scope", rival.SCOPES)
def test_the_budget_is_kept_and_used(scope, metric, monkeypatch):
    monkeypatch.setattr(rival, "STEPS", (1, 5))
    net = twin(teacher("wrn-10-2"))
    full = rival.costs(net, IMAGE)
    for factor in (1, 4, 10):
        budget = full[metric] // factor
        steps, ratio = rival.to_budget(net, IMAGE, scope, metric, budget)
        small = rival.pruned(net, IMAGE, scope, ratio, steps)
        assert rival.costs(small, IMAGE)[metric] <= budget
        larger = rival.pruned(net, IMAGE, scope, max(0, ratio - rival.FINE), steps)
        assert factor == 1 or rival.costs(larger, IMAGE)[metric] > budget
    assert rival.costs(net, IMAGE) == full  # it prunes a copy


def test_a_budget_below_a_channel_in_every_layer_is_not_reachable(monkeypatch):
    monkeypatch.setattr(rival, "STEPS", (1, 2))
    assert rival.to_budget(twin(teacher()), IMAGE, "uniform", "volume", 100) is None


def test_the_first_ratio_that_keeps_the_budget():
    """Where the cost rises again, as it does when layers are left whole."""
    assert rival.least_ratio(lambda r: 100 * (1 - r) if r < 0.9 else 100, 30) == pytest.approx(
        0.7, abs=rival.FINE
    )
    assert rival.least_ratio(lambda r: 100, 99) is None
    assert rival.least_ratio(lambda r: 100, 100) == 0


def test_a_run_has_a_result_and_is_not_repeated(run_folder, tmp_path):
    config = rival.settings_of(run_folder.path, (1, 0, 1))
    arguments = tmp_path, run_folder.path, config, "volume", "global", 4
    row = rival.run(*arguments)
    assert row["volume"] <= row["budget"] == row["volume_full"] // 4
    assert row["accuracy"] != row["accuracy_hard"]
    assert row["accuracy_teacher"] == pytest.approx(accuracy_of(run_folder), abs=1e-9)
    assert rival.run(*arguments) == row
    with pytest.raises(ValueError, match="other settings"):
        rival.run(*arguments[:2], replace(config, epochs=(2, 0, 1)), *arguments[3:])
    missed = {name: row[name] for name in row if not name.startswith("acc")} | {"factor": 16}
    lines = rival.summary([row, missed]).splitlines()
    assert lines[2].endswith(f"| {row['accuracy']:.4f} | {row['accuracy']:.4f} |")
    assert lines[3].startswith("| volume | 16x | global | 0 of 1 | not reachable |")


def accuracy_of(folder) -> float:
    from tinybar.train.images import Images

    return Images(folder.load_config().dataset()).test_accuracy(load_model(folder.teacher)[0])


def test_a_teacher_alone_needs_the_epochs(run_folder, tmp_path):
    assert rival.runs_in((tmp_path,)) == rival.runs_in((run_folder.path,)) == [run_folder.path]
    with pytest.raises(rival.click.ClickException, match="give --epochs"):
        rival.settings_of(run_folder.path, None)
    run_folder.result.write_text("{}")
    assert rival.settings_of(run_folder.path, None) == run_folder.load_config()
