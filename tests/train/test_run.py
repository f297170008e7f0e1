"""A run from end to end: the contract of its folder, the budget, determinism, interruptions."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from train.toy import TINY, cut_toy, metrics_of, pruned_of, resume_toy, run_toy, toy, without_times

from tinybar import nn, pruning
from tinybar.cli import main
from tinybar.data import Dataset, Split
from tinybar.pruning.methods import METHODS
from tinybar.runtime import random
from tinybar.runtime.files import load_arrays
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.loop import reduced_for_last
from tinybar.train.models import load_model
from tinybar.train.run import check

QUICK = ["--model", "wrn-10-1", "--epochs", "2", "1", "1", "--teacher-epochs", "1"]
RESULT = {
    "method", "model", "dataset", "seed", "device", "metric", "budget", "volume_full", "volume",
    "volume_regular", "volume_factor", "flops_full", "flops", "flop_factor", "params_full",
    "params", "accuracy_teacher", "accuracy_hard", "accuracy", "seconds", "latency_full_ms",
    "latency_ms", "peak_bytes", "peak_device_bytes", "training_flops", "channels",
}  # fmt: skip
METRICS = {
    "stage", "epoch", "lr", "loss", "loss_data", "loss_penalty", "cost", "volume", "b", "f",
    "accuracy_train", "accuracy_test", "seconds", "images_per_second",
}  # fmt: skip


def result_of(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of one finished run on the embedded digits."""
    folder = tmp_path_factory.mktemp("train") / "run"
    assert main(["train", *QUICK, "--budget", "4x", "--out", str(folder)]) == 0
    return folder


def test_the_folder_holds_what_the_contract_says(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "config.toml", "metrics.jsonl", "teacher.safetensors", "pruned.safetensors", "result.json"
    }  # fmt: skip
    assert not any(name.startswith((".", "checkpoint")) for name in names)


def test_the_teacher_alone_and_then_the_rest_is_the_whole_run(run, tmp_path, capsys):
    out = tmp_path / "two"
    assert main(["train", *QUICK, "--budget", "4x", "--out", str(out), "--teacher-only"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert {line["stage"] for line in metrics_of(out)} == {"teacher"}
    assert not (out / "pruned.safetensors").exists()
    assert main(["train", "--resume", str(out)]) == 0
    for name in ("teacher.safetensors", "pruned.safetensors"):
        assert (out / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("options", [{}, {"distill": False}, {"method": "scratch"}])
def test_training_flops_count_every_pass_of_every_stage(options, tmp_path):
    """Forward, and twice that backward, on full minibatches; the teacher's forward pass beside."""
    config = Config(**{**vars(TINY), **options})
    folder, facts = run_toy(tmp_path / "run", config)
    full, small = facts["flops_full"], facts["flops"]
    beside = full if config.distill else 0
    per_image = {"teacher": 3 * full, "prune": 3 * full + beside, "fine-tune": 3 * small + beside}
    images = len(toy().train) // config.batch_size * config.batch_size
    expected = sum(images * per_image[line["stage"]] for line in metrics_of(folder.path))
    assert facts["training_flops"] == expected


def test_the_result(run):
    result = result_of(run)
    assert not RESULT - result.keys()
    assert result["method"] == "bar"
    assert (result["model"], result["dataset"], result["seed"]) == ("wrn-10-1", "digits", 0)
    assert result["volume_full"] == 5376  # 3 16 64 + 3 32 16 + 3 64 4 neurons on 8x8 images
    assert result["budget"] == 5376 // 4
    assert result["volume"] <= result["budget"]
    assert result["volume"] <= result["volume_regular"] <= result["volume_full"]
    assert result["volume_factor"] == result["volume_full"] / result["volume"]
    assert result["flop_factor"] == result["flops_full"] / result["flops"]
    for name in ("accuracy_teacher", "accuracy_hard", "accuracy"):
        assert 0 <= result[name] <= 1
    assert result["accuracy_teacher"] > 0.5  # it has learnt: chance is 0.1
    assert min(result["seconds"], result["latency_full_ms"], result["latency_ms"]) > 0
    assert result["peak_bytes"] > 0
    assert result["peak_device_bytes"] is None  # on the CPU


def test_the_saved_networks_are_those_of_the_result(run):
    result = result_of(run)
    small, _ = load_model(run / "pruned.safetensors")
    teacher, _ = load_model(run / "teacher.safetensors")
    for model, suffix in ((small, ""), (teacher, "_full")):
        assert pruning.volume(model) == result[f"volume{suffix}"]
        assert pruning.flops(model) == result[f"flops{suffix}"]
        assert nn.count_parameters(model) == result[f"params{suffix}"]


@pytest.mark.parametrize(("flags", "name"), [([], "accuracy"), (["--teacher"], "accuracy_teacher")])
def test_eval_agrees_with_the_result(run, capsys, flags, name):
    assert main(["eval", str(run), "--json", *flags]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["accuracy"] == result_of(run)[name]
    assert (outcome["dataset"], outcome["images"]) == ("digits", 360)


def test_the_metrics(run):
    lines = metrics_of(run)
    assert [(line["stage"], line["epoch"]) for line in lines] == [
        ("teacher", 1), ("prune", 1), ("prune", 2), ("fine-tune", 1), ("fine-tune", 2)
    ]  # fmt: skip
    assert all(set(line) >= METRICS for line in lines)
    assert [line["lr"] for line in lines] == [1e-3, 1e-3, 1e-3, 1e-3, 1e-4]
    result = result_of(run)
    assert lines[0]["accuracy_test"] == result["accuracy_teacher"]
    assert lines[-1]["accuracy_test"] == result["accuracy"]
    assert lines[-1]["volume"] == result["volume"]
    assert lines[0]["volume"] == result["volume_full"]
    for line in lines:
        is_pruning = line["stage"] == "prune"
        assert (line["b"] is not None) == (line["f"] is not None) == is_pruning
        assert line["loss"] == pytest.approx(line["loss_data"] + line["loss_penalty"])
        assert is_pruning or line["loss_penalty"] == 0
    assert lines[2]["b"] == pytest.approx(result["budget"])


def test_the_pruned_file_needs_no_other(run, tmp_path):
    """In a fresh process, in an empty folder."""
    (tmp_path / "only.safetensors").write_bytes((run / "pruned.safetensors").read_bytes())
    code = """
import json
from pathlib import Path
from tinybar import data, pruning
from tinybar.train.models import load_model
from tinybar.train.images import accuracy
model, about = load_model(Path("only.safetensors"))
digits = data.load(about["name"])
images = digits.normalise(digits.test.images)
print(json.dumps([accuracy(model, images, digits.test.labels), pruning.volume(model)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [result_of(run)["accuracy"], result_of(run)["volume"]]


def test_the_config_is_resolved(run):
    config = RunFolder.open(run).load_config()
    assert config == Config(
        data="digits", model="wrn-10-1", budget="4x", epochs=(2, 1, 1), teacher_epochs=1,
        data_dir=str(Path("data/cache").resolve()),
    )  # fmt: skip


OTHER_RUNS = [
    ["--method", "scratch", "--budget", "4x"],
    ["--metric", "flops", "--budget", "0.2"],
    ["--no-distill", "--budget", "1000", "--schedule", "linear"],
]


@pytest.mark.parametrize("options", OTHER_RUNS, ids=lambda options: options[0].strip("-"))
def test_other_methods_keep_their_budgets(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *QUICK, *options, "--batch-size", "256"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    result = result_of(folder)
    assert 0 < result[result["metric"]] <= result["budget"]
    small, _ = load_model(folder / "pruned.safetensors")
    assert pruning.COSTS[result["metric"]].exact(small) == result[result["metric"]]
    stages = [line["stage"] for line in metrics_of(folder)]
    if result["method"] == "scratch":  # as many epochs as BAR has in all
        assert stages == ["teacher"] + ["fine-tune"] * 4
    else:
        assert stages == ["teacher"] + ["prune"] * 2 + ["fine-tune"] * 2


# --- in memory, smaller still --------------------------------------------------------------------


def test_a_run_is_determined_by_its_seed(tmp_path):
    first, _ = run_toy(tmp_path / "a")
    second, _ = run_toy(tmp_path / "b")
    other, _ = run_toy(tmp_path / "c", Config(**{**vars(TINY), "seed": 1}))
    assert pruned_of(first) == pruned_of(second)
    assert first.teacher.read_bytes() == second.teacher.read_bytes()
    assert without_times(first) == without_times(second)
    assert first.teacher.read_bytes() != other.teacher.read_bytes()
    assert without_times(first) != without_times(other)


@pytest.mark.parametrize(
    "options", [*({"method": name} for name in METHODS), {"skip_closed": True}]
)
def test_a_run_interrupted_after_any_epoch_resumes_bit_for_bit(options, tmp_path):
    config = Config(**{**vars(TINY), **options})
    whole, facts = run_toy(tmp_path / "whole", config)
    expected = without_times(whole)
    assert len({record["stage"] for record in expected}) > 1
    for last in range(1, len(expected) + 1):
        cut_toy(tmp_path / f"cut-{last}", config, last)
        assert not any(thread.name.startswith("batches") for thread in threading.enumerate())
        random.seed(99)  # whatever the new process had drawn before
        folder, resumed = resume_toy(tmp_path / f"cut-{last}")
        assert pruned_of(folder) == pruned_of(whole), f"cut after line {last}"
        assert without_times(folder) == expected
        for name in facts.keys() - {"seconds", "peak_bytes"}:
            assert np.array_equal(resumed[name], facts[name]), name


def test_the_listener_gets_the_record_of_every_epoch(tmp_path):
    heard = []
    folder, _ = run_toy(tmp_path / "run", listen=heard.append)
    assert [record["stage"] for record in heard] == [
        line["stage"] for line in metrics_of(folder.path)
    ]
    assert [record["epochs"] for record in heard] == [2, 2, 2, 2, 2, 2]


def test_it_is_the_barrier_that_prunes(tmp_path):
    """With lambda = 0 the gates stay open, and hard pruning has to drop what is over the budget."""
    ends = []
    for weight in (None, 0.0):
        options = {"epochs": (20, 0, 0), "teacher_epochs": 1, "lambda_": weight}
        folder, facts = run_toy(tmp_path / f"{weight}", Config(**{**vars(TINY), **options}))
        volumes = [line["volume"] for line in metrics_of(folder.path) if line["stage"] == "prune"]
        assert facts["volume"] <= facts["budget"] == facts["volume_full"] // 4
        assert volumes[0] > facts["budget"]
        ends.append((volumes[-1], facts["dropped"], facts["budget"]))
    (pruned, few, budget), (unpruned, many, _) = ends
    assert pruned < unpruned
    assert unpruned > 1.5 * budget
    assert few < many / 4


def test_without_epochs_of_fine_tuning_the_accuracy_is_that_after_hard_pruning(tmp_path):
    config = Config(**{**vars(TINY), "epochs": (1, 0, 0), "teacher_epochs": 1})
    folder, facts = run_toy(tmp_path / "run", config)
    assert facts["accuracy"] == facts["accuracy_hard"]
    assert [line["stage"] for line in metrics_of(folder.path)] == ["teacher", "prune"]


def test_the_pruned_network_has_the_channels_that_are_listed(tmp_path):
    folder, facts = run_toy(tmp_path / "run")
    left = {name: left for name, left, _, _ in facts["channels"]}
    arrays, about = load_arrays(folder.pruned, "network")
    assert arrays["stem.weight"].shape[-1] == left["stem"]
    assert sum(n * area for _, n, _, area in facts["channels"]) == facts["volume"]
    assert about["network"]["kind"] == "compact"


def test_a_budget_that_cannot_be_is_refused_before_training():
    smallest = 36 + 9 + 4  # one channel of the stem and of both shortcuts, on 6x6 images
    model = nn.wide_resnet(10, 1, 3, (6, 6, 1), nn.HardConcrete)
    assert pruning.COSTS["volume"].smallest(model) == smallest
    assert check(Config(**{**vars(TINY), "budget": str(smallest)}), toy()).budget == smallest
    with pytest.raises(ValueError, match=f"cannot be pruned below {smallest}"):
        check(Config(**{**vars(TINY), "budget": str(smallest - 1)}), toy())


@pytest.mark.parametrize("metric", sorted(pruning.COSTS))
def test_a_budget_that_the_method_cannot_reach_is_refused_before_training(metric, tmp_path):
    """Uniform widths keep a channel of every convolution."""
    options = {**vars(TINY), "method": "scratch", "metric": metric, "epochs": (1, 0, 0)}
    with pytest.raises(
        ValueError, match=r"cannot be pruned below .* by --method scratch"
    ) as refused:
        check(Config(**options | {"budget": "20"}), toy())
    smallest = re.search("below ([\\d,]+) by", str(refused.value))[1].replace(",", "")
    _, facts = run_toy(tmp_path / "run", Config(**options | {"budget": smallest}))
    assert facts["cost"] == int(smallest)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, capsys):
    """With exit code 3; the last checkpoint is kept."""
    options = "--teacher-epochs", "1", "--epochs", "1", "0", "0", "--lr", "1e30"
    folder = tmp_path / "run"
    assert main(["train", "--model", "wrn-10-1", *options, "--out", str(folder)]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        r"is not finite in epoch 1, iteration \d+ of stage 'teacher' \(data loss", line
    )
    assert line.endswith("try a lower --lr than 1e+30")
    arrays, _ = load_arrays(folder / "checkpoint.safetensors", "checkpoint")
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert main(["train", "--resume", str(folder), "--detect-anomaly"]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"in epoch 1, iteration \d+ of stage 'teacher': \w+, forward: ", line)


def test_labels_out_of_range_are_refused():
    images = np.zeros((4, 6, 6, 1), np.uint8)
    with pytest.raises(ValueError, match=r"labels out of range: train has 0\.\.3"):
        Dataset("bad", ("a", "b", "c"), Split(images, np.arange(4)), Split(images, np.arange(4)))


def test_the_rate_is_reduced_for_the_last_epochs():
    rate = reduced_for_last(2, 5, 0.1)
    assert [rate(epoch) for epoch in range(5)] == [0.1, 0.1, 0.1, 0.01, 0.01]
    assert reduced_for_last(0, 2, 0.1)(1) == 0.1


class Steps(list):
    """A listener that keeps the arguments of `step`, and may end a run at one of them."""

    def __init__(self, stop=None):
        self.stop = stop

    def __call__(self, record):
        pass

    def step(self, *place):
        self.append(place)
        if place == self.stop:
            raise KeyboardInterrupt


def test_a_listener_hears_of_every_step(tmp_path):
    """48 images in minibatches of 16: when an epoch begins, and after each step."""
    steps = Steps()
    run_toy(tmp_path / "run", listen=steps)
    assert steps == [
        (stage, epoch, epochs, done, 3, 16 if done else 0)
        for stage, epochs in (("teacher", 2), ("prune", 2), ("fine-tune", 2))
        for epoch in range(1, epochs + 1)
        for done in range(4)
    ]


def test_a_resumed_run_tells_what_is_done(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "run", listen=Steps(stop=("prune", 2, 2, 0, 3, 0)))
    steps = Steps()
    resume_toy(tmp_path / "run", steps)
    saved = ("prune", 1, 2, 3, 3, 16)  # after the last step of the epoch before
    assert steps[:2] == [("teacher", 2, 2, 1, 1, 0), saved]
