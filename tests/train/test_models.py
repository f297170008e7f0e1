"""Networks in files: they load with no other file, and are the same function."""

import numpy as np
import pytest
from properties.networks import bottlenecks

import tinybar as tb
from tinybar import nn, pruning
from tinybar.data import Dataset, Split
from tinybar.runtime.files import load_arrays, save_arrays
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
    arrays, about = load_arrays(path, "network")
    spoil(arrays, about)
    save_arrays(path, arrays, about, "network")


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
