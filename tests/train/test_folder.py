"""A run's folder: options, metrics, checkpoints and what stages have trained."""

import json

import numpy as np
import pytest

from tinybar import nn
from tinybar.runtime.files import load_arrays, save_arrays
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder, free_folder


def test_a_folder_is_created_once(tmp_path):
    config = Config(seed=4)
    folder = RunFolder.create(tmp_path / "deep" / "run", config)
    assert RunFolder.open(folder.path).load_config() == config
    with pytest.raises(
        ValueError, match=r"exists: choose another --out, or resume it with --resume"
    ):
        RunFolder.create(folder.path, config)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot make the run folder"):
        RunFolder.create(tmp_path / "file" / "run", config)
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config.toml"):
        RunFolder.open(tmp_path)


def saved_checkpoint(folder, epoch=2):
    model = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    optimizer = nn.Adam(model.parameters())
    optimizer.t = 5
    folder.save_checkpoint("prune", epoch, model, optimizer, {"seed": 1}, {"fact": 2})
    return model, optimizer


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    model, optimizer = saved_checkpoint(folder)
    checkpoint = RunFolder.open(folder.path).load_checkpoint()
    assert (checkpoint.stage, checkpoint.epoch, checkpoint.metrics) == ("prune", 2, 1)
    assert (checkpoint.streams, checkpoint.facts) == ({"seed": 1}, {"fact": 2})
    other = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    optimizers = optimizer, nn.Adam(other.parameters())
    checkpoint.restore(other, optimizers[1])
    for one, two in ((model, other), optimizers):
        states = one.state_dict(), two.state_dict()
        assert all(np.array_equal(states[0][name], states[1][name]) for name in states[1])


def test_a_stage_that_has_ended_is_loaded_as_it_was_saved(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    net = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    assert folder.load_stage("prune") is None
    folder.save_stage("prune", net, {"seed": 1})
    arrays, streams = RunFolder.open(folder.path).load_stage("prune")
    assert streams == {"seed": 1}
    assert all(np.array_equal(arrays[name], a) for name, a in net.state_dict().items())
    folder.finish({})
    assert {path.name for path in folder.path.iterdir()} == {"config.toml", "result.json"}


def test_lines_written_after_the_checkpoint_are_cut_off(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    saved_checkpoint(folder)
    folder.append_metrics({"epoch": 2})
    with open(folder.metrics, "a") as file:
        file.write('{"epoch"')  # killed while writing
    again = RunFolder.open(folder.path)
    again.load_checkpoint()
    again.append_metrics({"epoch": 3})
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 3]


def test_without_a_checkpoint_the_metrics_start_again(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    assert folder.load_checkpoint() is None
    folder.append_metrics({"epoch": 1})
    assert RunFolder.open(folder.path).load_checkpoint() is None
    assert folder.metrics.read_text() == ""


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    saved_checkpoint(folder)
    (folder.path / ".checkpoint.safetensors.123.tmp").write_text("half")
    RunFolder.open(folder.path).load_checkpoint()
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "checkpoint.safetensors", "config.toml"
    ]  # fmt: skip


def test_checkpoints_that_cannot_be_used(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    path = folder.path / "checkpoint.safetensors"
    saved_checkpoint(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is truncated or damaged"):
        folder.load_checkpoint()
    path.write_bytes(whole)
    arrays, about = load_arrays(path, "checkpoint")
    save_arrays(path, arrays, about | {"more": 1}, "checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is of another version"):
        folder.load_checkpoint()


def test_a_free_folder_has_the_next_number(tmp_path):
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").touch()
    assert free_folder(tmp_path, "a") == tmp_path / "a-3"
