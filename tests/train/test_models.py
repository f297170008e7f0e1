"""Networks in files: they load with no other file, and are the same function."""

import tracemalloc

import numpy as np
import pytest
from properties.networks import bottlenecks

import tinybar as tb
from tinybar import nn, pruning
from tinybar.data import Dataset, Split
from tinybar.runtime.files import FileError, load_arrays, save_arrays
from tinybar.train.models import load_model, rebuild, save_model, structure


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
        model = nn.build(name, 3, (6, 5, 1), gate, "soft" if kind == "soft" else "hard")
    for parameter in model.parameters():
        parameter.data[...] += rng.normal(0, 1, parameter.shape)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.normal(-1.6, 2, gate.log_alpha.shape)
    return pruning.compact(model) if kind == "compact" else model.eval()


SAVED = [
    (kind, name) for kind in ("plain", "gated", "compact") for name in ("wrn-10-2", "resnet-8")
] + [("soft", "wrn-10-2")]


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


@pytest.mark.parametrize("gate", [None, nn.HardConcrete])
def test_resnet_50_is_built_again_by_its_name(gate):
    model = nn.resnet50(3, (6, 5, 1), gate)
    again = rebuild(structure(model)).state_dict()
    assert {name: array.shape for name, array in model.state_dict().items()} == {
        name: array.shape for name, array in again.items()
    }


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="is float64, files of networks have float32"):
        save_model(tmp_path / "net", network("plain").astype(np.float64), dataset())
    with pytest.raises(ValueError, match="4 different classes expected"):
        save_model(tmp_path / "net", nn.build("wrn-10-1", 4, (6, 5, 1)), dataset())
    assert list(tmp_path.iterdir()) == []


def test_no_other_file_is_left(tmp_path):
    save_model(tmp_path / "net.safetensors", network("plain"), dataset())
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def spoiled(path, spoil) -> None:
    arrays, about = load_arrays(path, "network")
    spoil(arrays, about)
    save_arrays(path, arrays, about, "network")


def layout(**changes):
    return lambda arrays, about: about["network"]["layout"].update(changes)


def network_entry(**changes):
    return lambda arrays, about: about["network"].update(changes)


def block(k: int, **changes):
    return lambda arrays, about: about["network"]["layout"]["blocks"][k].update(changes)


def data(**changes):
    return lambda arrays, about: about["data"].update(changes)


def entry(name: str, array):
    return lambda arrays, about: arrays.update({name: array(arrays[name])})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays, about: arrays.pop("stem.weight"), "missing stem.weight"),
        (lambda arrays, about: arrays.update(x=np.zeros(2)), "unknown x"),
        (entry("bn.gamma", lambda a: a * np.float32(np.nan)), "not finite"),
        (entry("bn.gamma", lambda a: a.astype(np.int32)), "bn.gamma has dtype float32, .* int32"),
        (entry("bn.gamma", lambda a: a.astype(np.float16)), "bn.gamma is float16, .* have float32"),
        (entry("bn.running_var", lambda a: a - 9), "bn.running_var holds a negative variance: -8"),
        (entry("bn.gamma", lambda a: a[1:]), "bn.gamma has shape"),
        (lambda arrays, about: about.pop("network"), "no 'network'"),
        (lambda arrays, about: about.pop("data"), "no 'data'"),
        (lambda arrays, about: about["network"].pop("kind"), "no 'kind'"),
        (network_entry(kind="other", name="wrn-10-1", gated=False), "unknown structure"),
        (network_entry(kind="full", name="wrn-10-1", gated=0), "unknown structure"),
        (network_entry(layout=[]), "the layout must be a dict"),
        (lambda arrays, about: about["network"]["layout"].pop("stem"), "stem"),
        (lambda arrays, about: about["network"]["layout"]["blocks"].pop(), "no network"),
        (data(classes=["a", "b"]), "3 different classes expected"),
        (data(classes=["a", "b", "b"]), "3 different classes expected"),
        (data(classes="abc"), "3 different classes expected"),
        (data(name=None), "name of its data"),
        (data(mean=[0.5, 0.5]), "mean must be a list of 1"),
        (data(mean=[float("nan")]), "finite numbers"),
        (data(mean=[True]), "finite numbers"),
        (data(std=[0.0]), "std must be positive"),
        (data(scale=0), r"scale in \(0, 255\]"),
        (data(scale=10**400), "no network"),
        (block(0, q=1), r"block 0 must have .* wrong or missing: \{'q'\}"),
        (block(0, reads=[]), "block 0: reads must be channels below"),
        (block(0, reads=[-1]), "block 0: reads must be channels below"),
        (block(0, reads=[1, 0]), "block 0: reads must be ascending"),
        (block(0, reads=[0, 0]), "block 0: reads must be ascending"),
        (block(0, reads=[0, 999]), "block 0: reads must be channels below"),
        (block(0, writes=[0, 1.0]), "block 0: writes must be channels below"),
        (block(0, shortcut=[True]), "block 0: shortcut must be channels below"),
        (block(0, width=1 << 31), "exist, but"),
        (block(0, width=-1), "block 0: shortcut must be channels below"),
        (block(0, stride=3), "stride must be 1 or 2"),
        (block(0, inner=[]), "without a convolution it writes nothing"),
        (block(0, inner=[1, 1]), "inner must be"),
        (block(0, inner=[-1]), "inner must be"),
        (layout(num_classes=1), "num_classes >= 2"),
        (layout(num_classes=2.5), "num_classes >= 2"),
        (layout(image_shape=[1 << 20, 5, 1]), "image_shape"),
        (layout(image_shape=[6, 5]), "image_shape"),
        (layout(family="narrow"), "unknown family 'narrow'"),
        (layout(pools=1), "with pools 1"),
        (layout(blocks={}), "blocks must be a list"),
        (layout(stem={"width": 1, "writes": [0], "x": 0}), "stem must have"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_usable_network(tmp_path, spoil, message):
    path = tmp_path / "net.safetensors"
    save_model(path, network("compact"), dataset())
    spoiled(path, spoil)
    with pytest.raises(FileError, match=message) as error:
        load_model(path)
    assert "net.safetensors holds no network that tinybar can use" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("compact", {"num_classes": 1 << 31}),
        ("compact", {"image_shape": [6, 5, 1 << 16]}),
        ("plain", {"num_classes": 1 << 31}),
        ("plain", {"name": "wrn-10-9999"}),
        ("plain", {"name": "wrn-9994-9"}),
        ("gated", {"name": "resnet50"}),
    ],
)
def test_no_memory_is_taken_for_more_than_the_file_holds(tmp_path, kind, changes):
    path = tmp_path / "net.safetensors"
    save_model(path, network(kind), dataset())
    spoiled(path, layout(**changes) if kind == "compact" else network_entry(**changes))
    tracemalloc.start()
    with pytest.raises(FileError, match="are more than there are"):
        load_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * path.stat().st_size + (1 << 20)


def test_a_wide_layer_inside_a_block_takes_no_memory(tmp_path):
    path = tmp_path / "net.safetensors"
    save_model(path, network("compact"), dataset())
    spoiled(path, block(0, inner=[1 << 20]))
    with pytest.raises(FileError, match="are more than there are"):
        load_model(path)


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
