"""What a run keeps: networks that load with no other file, and folders that can be gone on with."""

import json

import numpy as np
import pytest
from properties.networks import bottlenecks

import tinybar as tb
from tinybar import nn, pruning
from tinybar.data import Dataset, Split
from tinybar.runtime.files import load_arrays, save_arrays, write_text, write_whole
from tinybar.train.checkpoint import (
    RunFolder,
    free_folder,
    load_model,
    rebuild,
    save_model,
    structure,
)
from tinybar.train.config import Config


def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 17, (12, 6, 5, 1), dtype=np.uint8)
    split = Split(images, np.arange(12) % 3)
    return Dataset("toy", ("a", "b", "c"), split, split, scale=16.0)


def network(kind: str, name: str = "wrn-10-2"):
    rng = np.random.default_rng(0)
    gate = None if kind == "plain" else nn.HardConcrete
    if name == "bottlenecks":
        model = bottlenecks(3, (6, 5, 1), gate)
    else:
        model = nn.build(name, 3, (6, 5, 1), gate)
    for parameter in model.parameters():
        parameter.data[...] += rng.normal(0, 1, parameter.shape)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.normal(-1.6, 2, gate.log_alpha.shape)
    return pruning.compact(model) if kind == "compact" else model.eval()


SAVED = [
    (kind, name) for kind in ("plain", "gated", "compact") for name in ("wrn-10-2", "resnet-8")
]


@pytest.mark.parametrize(("kind", "name"), [*SAVED, ("compact", "bottlenecks")])
def test_a_saved_network_is_the_same_function(tmp_path, kind, name):
    model, path = network(kind, name), tmp_path / "net.safetensors"
    save_model(path, model, dataset())
    loaded, about = load_model(path)
    assert not loaded.training
    assert type(loaded) is type(model)
    x = tb.Tensor(np.random.default_rng(1).standard_normal((4, 6, 5, 1)).astype(np.float32))
    assert np.array_equal(loaded(x).data, model(x).data)
    assert about["name"] == "toy"
    assert about["classes"] == ["a", "b", "c"]
    assert about["scale"] == 16
    np.testing.assert_array_equal(np.float32(about["mean"]), dataset().mean)
    np.testing.assert_array_equal(np.float32(about["std"]), dataset().std)


def test_files_of_old_compact_networks_still_load(tmp_path):
    """They name no family, and how many features are inside a block, without a list."""
    gated, path = network("gated"), tmp_path / "net.safetensors"
    gated.blocks[1].gate1.log_alpha.data[...] = -9  # of this block the shortcut is left
    model = pruning.compact(gated)
    save_model(path, model, dataset())

    def aged(arrays, about):
        layout = about["network"]["layout"]
        del layout["family"], layout["pools"]
        for block in layout["blocks"]:
            block["inner"] = sum(block["inner"])
        assert 0 in [block["inner"] for block in layout["blocks"]]

    spoiled(path, aged)
    x = tb.Tensor(np.random.default_rng(1).standard_normal((4, 6, 5, 1)).astype(np.float32))
    assert np.array_equal(load_model(path)[0](x).data, model(x).data)


@pytest.mark.parametrize("gate", [None, nn.HardConcrete])
def test_resnet_50_is_built_again_by_its_name(gate):
    model = nn.resnet50(3, (6, 5, 1), gate)
    again = rebuild(structure(model)).state_dict()
    assert {name: array.shape for name, array in model.state_dict().items()} == {
        name: array.shape for name, array in again.items()
    }


def test_no_other_file_is_left(tmp_path):
    save_model(tmp_path / "net.safetensors", network("plain"), dataset())
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def spoiled(path, spoil) -> None:
    arrays, about = load_arrays(path)
    spoil(arrays, about)
    save_arrays(path, arrays, about)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays, about: arrays.pop("stem.weight"), "missing stem.weight"),
        (lambda arrays, about: arrays.update(x=np.zeros(2)), "unknown x"),
        (lambda arrays, about: arrays["bn.gamma"].fill(np.nan), "not finite"),
        (lambda arrays, about: about.pop("network"), "network"),
        (lambda arrays, about: about.pop("data"), "data"),
        (lambda arrays, about: about["network"].pop("kind"), "kind"),
        (lambda arrays, about: about["network"].update(layout=[]), "no network"),
        (lambda arrays, about: about["network"]["layout"].pop("stem"), "stem"),
        (lambda arrays, about: about["network"]["layout"]["blocks"].pop(), "no network"),
        (lambda arrays, about: about["network"]["layout"]["blocks"][0].update(q=1), "no network"),
    ],
)
def test_a_file_that_holds_no_usable_network(tmp_path, spoil, message):
    path = tmp_path / "net.safetensors"
    save_model(path, network("compact"), dataset())
    spoiled(path, spoil)
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert "net.safetensors holds no network that tinybar can use" in str(error.value)


@pytest.mark.parametrize("length", [0, 7, 8, 200, -1])
def test_a_truncated_file(tmp_path, length):
    path = tmp_path / "net.safetensors"
    save_model(path, network("plain"), dataset())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"net.safetensors is truncated or damaged"):
        load_model(path)


def test_files_that_are_not_ours(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    with pytest.raises(ValueError, match=r"no such file: .*other.safetensors"):
        load_model(path)
    save_file({"w": np.zeros(2)}, path)
    with pytest.raises(ValueError, match="was not written by tinybar"):
        load_model(path)
    save_file({"w": np.zeros(2)}, path, {"tinybar": "not JSON"})
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_model(path)
    path.write_text("a text")
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_model(path)


def test_arrays_of_any_shape_and_dtype_survive(tmp_path):
    arrays = {
        "scalar": np.array(3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "empty": np.zeros((0, 4), np.float32),
    }
    save_arrays(tmp_path / "a.safetensors", arrays, {"é": [1, None]})
    loaded, about = load_arrays(tmp_path / "a.safetensors")
    assert about == {"é": [1, None]}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert np.array_equal(loaded[name], array)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- the run's folder ----------------------------------------------------------------------------


def test_a_folder_is_made_once(tmp_path):
    config = Config(seed=4)
    folder = RunFolder.create(tmp_path / "deep" / "run", config)
    assert RunFolder.open(folder.path).load_config() == config
    with pytest.raises(ValueError, match=r"exists: choose another --out, or go on with --resume"):
        RunFolder.create(folder.path, config)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot make the run folder"):
        RunFolder.create(tmp_path / "file" / "run", config)
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config.toml"):
        RunFolder.open(tmp_path)


def saved_progress(folder, epoch=2):
    model = nn.wide_resnet(10, 1, 3, (4, 4, 1))
    optimizer = nn.Adam(model.parameters())
    optimizer.t = 5
    folder.save_progress("prune", epoch, model, optimizer, {"seed": 1}, {"fact": 2})
    return model, optimizer


def test_progress_comes_back(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    model, optimizer = saved_progress(folder)
    progress = RunFolder.open(folder.path).load_progress()
    assert (progress.stage, progress.epoch, progress.metrics) == ("prune", 2, 1)
    assert (progress.streams, progress.facts) == ({"seed": 1}, {"fact": 2})
    for part, owner in (("model", model), ("optimizer", optimizer)):
        state = owner.state_dict()
        assert progress.part(part).keys() == state.keys()
        assert all(np.array_equal(progress.part(part)[name], state[name]) for name in state)


def test_lines_written_after_the_checkpoint_are_cut_off(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    folder.append_metrics({"epoch": 1})
    saved_progress(folder)
    folder.append_metrics({"epoch": 2})
    with open(folder.metrics, "a") as file:
        file.write('{"epoch"')  # killed while writing
    again = RunFolder.open(folder.path)
    again.load_progress()
    again.append_metrics({"epoch": 3})
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 3]


def test_without_a_checkpoint_the_metrics_start_again(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    assert folder.load_progress() is None
    folder.append_metrics({"epoch": 1})
    assert RunFolder.open(folder.path).load_progress() is None
    assert folder.metrics.read_text() == ""


def test_what_a_killed_write_left_is_swept_up(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    saved_progress(folder)
    (folder.path / ".checkpoint.safetensors.123.tmp").write_text("half")
    RunFolder.open(folder.path).load_progress()
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "checkpoint.safetensors", "config.toml"
    ]  # fmt: skip


def test_saved_arrays_are_as_readable_as_other_files(tmp_path):
    save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(2)}, {})
    (tmp_path / "b").write_text("")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_checkpoints_that_cannot_be_used(tmp_path):
    folder = RunFolder.create(tmp_path / "run", Config())
    path = folder.path / "checkpoint.safetensors"
    saved_progress(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is truncated or damaged"):
        folder.load_progress()
    path.write_bytes(whole)
    spoiled(path, lambda arrays, about: about.update(more=1))
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is of another version"):
        folder.load_progress()


def test_free_folder_counts_on(tmp_path):
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").touch()
    assert free_folder(tmp_path, "a") == tmp_path / "a-3"
