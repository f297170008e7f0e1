"""A run's folder: options, metrics, checkpoints and what stages have trained."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tinybar import nn
from tinybar.runtime.files import load_arrays, save_arrays
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder, free_folder


def names_in(folder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_a_folder_is_created_once(tmp_path):
    config = Config(seed=4)
    folder = RunFolder.create(tmp_path / "deep" / "run", config)
    assert RunFolder.open(folder.path).load_config() == config
    with pytest.raises(
        ValueError, match=r"exists: choose another --out, or resume it with --resume"
    ):
        RunFolder.create(folder.path, config)
    assert names_in(folder) == ["config.toml"]
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot make the run folder"):
        RunFolder.create(tmp_path / "file" / "run", config)
    with pytest.raises(ValueError, match="file is a file: choose another --out"):
        RunFolder.create(tmp_path / "file", config)
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config.toml$"):
        RunFolder.open(tmp_path)


def test_a_folder_that_is_empty_is_used(tmp_path):
    """So is what is left of a process that was killed before it had written the options."""
    (tmp_path / ".config.toml.123.tmp").write_text("seed = ")
    (tmp_path / "lock").write_text("123")
    with pytest.raises(ValueError, match=r"no config\.toml; begin a run in it with --out"):
        RunFolder.open(tmp_path)
    folder = RunFolder.create(tmp_path, Config(seed=4))
    assert folder.load_config().seed == 4
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="other is not empty: choose another --out"):
        RunFolder.create(tmp_path / "other", Config())
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_folder_in_use(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    in_use = f"run is in use by process {os.getpid()}"
    with folder.locked():
        with pytest.raises(ValueError, match=in_use), RunFolder.open(folder.path).locked():
            pytest.fail("locked twice")
        folder.config.unlink()
        with pytest.raises(ValueError, match=in_use):
            RunFolder.create(folder.path, Config())


@pytest.mark.parametrize("lines", [0, 1, 8, -1])
def test_a_config_that_lost_its_last_lines_is_told(lines, tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    kept = folder.config.read_text().splitlines(keepends=True)
    folder.config.write_text("".join(kept[:lines]))
    with pytest.raises(ValueError, match=r"config.toml is truncated or damaged: its last line"):
        folder.load_config()


def test_options_that_an_earlier_version_did_not_have_are_the_defaults(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    lines = folder.config.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("checkpoint_minutes", "shift"))]
    assert len(kept) < len(lines)
    folder.config.write_text("".join(kept))
    assert folder.load_config() == Config()


def test_other_options_are_written_when_they_are_saved(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    moved = dataclasses.replace(Config(), data_dir="/elsewhere")
    folder.save_config(moved)
    assert folder.load_config() == moved


ABOUT = {
    "stage": "prune", "progress": {"epoch": 2}, "streams": {"seed": 1}, "facts": {"fact": 2},
    "config": {"seed": 3}, "data": "fingerprint",
}  # fmt: skip


def saved_checkpoint(folder, **about):
    model = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    optimizer = nn.Adam(model.parameters())
    optimizer.t = [5] * len(optimizer.t)
    folder.save_checkpoint(model, optimizer, ABOUT | about)
    return model, optimizer


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    model, optimizer = saved_checkpoint(folder)
    checkpoint = RunFolder.open(folder.path).load_checkpoint()
    assert {name: getattr(checkpoint, name) for name in ABOUT} == ABOUT
    assert checkpoint.metrics == 1
    other = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    optimizers = optimizer, nn.Adam(other.parameters())
    checkpoint.restore(other, optimizers[1])
    for one, two in ((model, other), optimizers):
        states = one.state_dict(), two.state_dict()
        assert all(np.array_equal(states[0][name], states[1][name]) for name in states[1])


def test_a_checkpoint_of_another_network_is_told(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    saved_checkpoint(folder)
    other = nn.wide_resnet(10, 2, 3, (4, 4, 1))
    with pytest.raises(ValueError, match=r"checkpoint.safetensors does not fit stage 'prune'"):
        folder.load_checkpoint().restore(other, nn.Adam(other.parameters()))


def test_a_stage_that_has_ended_is_loaded_as_it_was_saved(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    net = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    assert folder.load_stage("prune") is None
    folder.save_stage("prune", net, {"seed": 1})
    arrays, streams = RunFolder.open(folder.path).load_stage("prune")
    assert streams == {"seed": 1}
    assert all(np.array_equal(arrays[name], a) for name, a in net.state_dict().items())
    for _ in range(3):
        saved_checkpoint(folder)
    folder.result.write_text("{}")
    folder.clean()  # of a run that was killed before
    assert names_in(folder) == ["config.toml", "result.json"]
    saved_checkpoint(folder)
    folder.finish({})
    assert names_in(folder) == ["config.toml", "result.json"]


# --- metrics -------------------------------------------------------------------------------------


def test_lines_written_after_the_checkpoint_are_cut_off(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    saved_checkpoint(folder)
    folder.append_metrics({"epoch": 2})
    with open(folder.metrics, "ab") as file:
        file.write(b'{"epoch\xff')  # killed while writing, and damaged
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


@pytest.mark.parametrize("remove", [True, False])
def test_metrics_that_were_lost_are_told(remove, tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    for epoch in (1, 2):
        folder.append_metrics({"epoch": epoch})
    saved_checkpoint(folder)
    folder.metrics.unlink() if remove else folder.metrics.write_text('{"epoch": 1}\n')
    told = []
    RunFolder.open(folder.path, told.append).load_checkpoint()
    assert told == [f"{folder.metrics} has lost {1 + remove} of 2 lines"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told_with_the_file(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.metrics.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"^cannot write .*metrics.jsonl: No space left on device$"):
        folder.append_metrics({"epoch": 1})


# --- damage --------------------------------------------------------------------------------------


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    saved_checkpoint(folder)
    (folder.path / ".checkpoint.safetensors.123.tmp").write_text("half")
    RunFolder.open(folder.path).load_checkpoint()
    assert names_in(folder) == ["checkpoint.safetensors", "config.toml"]


NEWEST, BEFORE = "checkpoint.safetensors", "checkpoint-before.safetensors"


def test_of_three_checkpoints_two_are_kept_and_the_one_before_replaces_a_damaged_one(
    tmp_path,
):
    folder, told = RunFolder.create(tmp_path / "run", Config()), []
    for data in "abc":
        folder.append_metrics({"data": data})
        saved_checkpoint(folder, data=data)
    assert names_in(folder) == [BEFORE, NEWEST, "config.toml", "metrics.jsonl"]
    path = folder.path / NEWEST
    path.write_bytes(path.read_bytes()[:-1])
    folder = RunFolder.open(folder.path, told.append)
    assert folder.load_checkpoint().data == "b"
    assert len(told) == 1
    assert told[0].startswith(f"{path} is truncated or damaged: ")
    assert told[0].endswith("; going on from the one before it")
    assert [json.loads(line)["data"] for line in folder.metrics.read_text().splitlines()] == [
        "a", "b"
    ]  # fmt: skip
    saved_checkpoint(folder, data="d")  # the damaged one does not take the place of the good one
    path.unlink()
    assert folder.load_checkpoint().data == "b"
    assert len(told) == 1


def test_a_process_killed_between_the_two_names_has_the_one_before(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    saved_checkpoint(folder, data="a")
    (folder.path / NEWEST).rename(folder.path / BEFORE)
    assert folder.load_checkpoint().data == "a"


@pytest.mark.parametrize("both", [True, False])
def test_checkpoints_that_cannot_be_used(both, tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    path = folder.path / NEWEST
    for _ in range(1 + both):
        saved_checkpoint(folder)
    whole = path.read_bytes()
    for name in (NEWEST, BEFORE)[: 1 + both]:
        (folder.path / name).write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"checkpoint.*.safetensors is truncated or damaged"):
        folder.load_checkpoint()
    assert path.exists()
    if not both:
        path.write_bytes(whole)
        arrays, about = load_arrays(path, "checkpoint")
        for change, fault in (
            ({"more": 1}, "is of another version"),
            ({"metrics": "1"}, "is truncated or damaged: metrics is '1'"),
        ):
            save_arrays(path, arrays, about | change, "checkpoint")
            with pytest.raises(ValueError, match=f"checkpoint.safetensors {fault}"):
                folder.load_checkpoint()


def test_a_free_folder_has_the_next_number(tmp_path):
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").touch()
    assert free_folder(tmp_path, "a") == tmp_path / "a-3"
