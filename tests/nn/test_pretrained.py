"""Weights from files: tinybar's own, and PyTorch's names and layouts."""

import numpy as np
import pytest
from properties.networks import bottlenecks, images, randomise
from safetensors.numpy import save_file

import tinybar as tb
from tinybar import nn
from tinybar.data import Dataset, Split, load
from tinybar.nn.pretrained import from_torch, load_weights
from tinybar.runtime.files import FileError, save_arrays
from tinybar.train.models import save_model


def wide() -> nn.WideResNet:
    return nn.wide_resnet(16, 2, 10, (8, 8, 1)).eval()


def theirs(model: nn.ResidualNetwork, groups: list[int]) -> dict[str, np.ndarray]:
    """The state of the model as PyTorch would name and lay it out. groups: blocks of each."""
    places = [(g, b) for g, n in enumerate(groups, 1) for b in range(n)]
    is_wide, found = isinstance(model, nn.WideResNet), {"bn1.num_batches_tracked": np.array(7)}
    ends = {"stem": "conv1", "bn": "bn1", "stem_bn": "bn1", "linear": "fc"}
    parts = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"}
    for name, array in model.state_dict().items():
        owner, _, kind = name.rpartition(".")
        kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
        if owner.startswith("blocks."):
            _, k, part = owner.split(".")
            g, b = places[int(k)]
            if is_wide:
                part = part.replace("shortcut", "convShortcut")
                owner = f"block{g}.layer.{b}.{part}"
            else:
                owner = f"layer{g}.{b}.{parts.get(part, part)}"
        else:
            owner = ends[owner]
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        found[f"{owner}.{kind}"] = np.ascontiguousarray(array.T if array.ndim == 2 else array)
    return found


CASES = {
    "wide": (wide, [2, 2, 2]),
    "bottlenecks": (lambda: bottlenecks(10, (9, 8, 3), None).eval(), [2, 2, 2]),
    "small": (lambda: nn.small_resnet(14, 10, (8, 8, 1)).eval(), [2, 2, 2]),
    "uneven": (lambda: nn.resnet50(3, (32, 32, 3)).eval(), [3, 4, 6, 3]),
}


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
@pytest.mark.parametrize("case", sorted(CASES))
def test_from_pytorch_s_names(case, prefix, tmp_path):
    make, groups = CASES[case]
    rng, source, model = np.random.default_rng(0), make(), make()
    randomise(source, rng)
    arrays = {prefix + name: array for name, array in theirs(source, groups).items()}
    save_file(arrays, tmp_path / "net.safetensors")
    load_weights(model, tmp_path / "net.safetensors")
    x = tb.Tensor(images(model, rng))
    assert np.array_equal(model(x).data, source(x).data)


def test_the_names_that_others_use_for_the_same():
    make, groups = CASES["small"]
    source = make()
    arrays = {
        name.replace("downsample", "shortcut").replace("fc.", "linear."): array
        for name, array in theirs(source, groups).items()
    }
    state = from_torch(make(), arrays)
    assert all(np.array_equal(state[name], a) for name, a in source.state_dict().items())


def as_file(path, model, groups, metadata=None):
    save_file(theirs(model, groups), path, metadata)
    return path


def test_a_head_of_another_size_is_left_out(tmp_path):
    source, model = nn.wide_resnet(16, 2, 100, (8, 8, 1)), wide()
    before = model.state_dict()
    weights = load_weights(model, as_file(tmp_path / "net", source, [2, 2, 2]))
    assert weights.other_head == "100 outputs"
    assert not {"linear.weight", "linear.bias"} & weights.state.keys()
    for name, array in model.state_dict().items():
        expected = before if name.startswith("linear.") else source.state_dict()
        assert np.array_equal(array, expected[name])


@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_head_may_be_missing(shortcuts, tmp_path):
    """With shortcuts without parameters, too."""
    source, model = (nn.small_resnet(14, 10, (8, 8, 1)) for _ in range(2))
    arrays, head = theirs(source, [2, 2, 2]), model.linear.weight.data.copy()
    for name in [n for n in arrays if n.startswith("fc") or ("downsample" in n) > shortcuts]:
        del arrays[name]
    save_file(arrays, tmp_path / "net")
    assert load_weights(model, tmp_path / "net").other_head == "nothing, as it has none"
    assert np.array_equal(model.linear.weight.data, head)
    assert np.array_equal(model.blocks[2].conv1.weight.data, source.blocks[2].conv1.weight.data)
    weight = source.blocks[2].shortcut.weight.data if shortcuts else np.eye(16, 32, 8)[None, None]
    assert np.array_equal(model.blocks[2].shortcut.weight.data, weight)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ("0.485 0.456 0.406", "0.229 0.224 0.225"),
        ("[0.485, 0.456, 0.406]", "(0.229, 0.224, 0.225)"),
        (" 0.485,0.456,0.406 ", "0.229,\n0.224, 0.225"),
    ],
)
def test_a_file_of_pytorch_s_can_say_how_images_are_normalised(mean, std, tmp_path):
    model = nn.small_resnet(8, 3, (8, 8, 3))
    path = as_file(tmp_path / "net", model, [1, 1, 1], {"mean": mean, "std": std, "by": "me"})
    expected = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    assert load_weights(model, path).statistics == expected


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"mean": "0.5"}, "its std is '', expected 1 positive numbers"),
        ({"std": "0.5"}, r"its mean is '', expected 1 numbers in \[0, 1\]"),
        ({"mean": "0.5 0.5", "std": "1"}, "its mean is '0.5 0.5', expected 1 "),
        ({"mean": "127", "std": "64"}, r"its mean is '127', expected 1 numbers in \[0, 1\]"),
        ({"mean": "0.5", "std": "0"}, "its std is '0', expected 1 positive"),
        ({"mean": "nan", "std": "1"}, "its mean is 'nan'"),
        ({"mean": "0.5", "std": "inf"}, "its std is 'inf'"),
        ({"mean": "0.5", "std": "one"}, "its std is 'one'"),
    ],
)
def test_a_normalisation_that_is_none(metadata, message, tmp_path):
    path = as_file(tmp_path / "net", wide(), [2, 2, 2], metadata)
    with pytest.raises(FileError, match=message):
        load_weights(wide(), path)


def test_a_file_of_tinybar_s_says_it_too(tmp_path):
    path, digits = tmp_path / "teacher.safetensors", load("digits")
    save_model(path, wide(), digits)
    assert load_weights(wide(), path).statistics == (digits.mean.tolist(), digits.std.tolist())


BOTTLENECKS = [((2, 2, 8), n, s) for n, s in ((3, 1), (4, 2), (23, 2), (3, 2))]
BASIC = [((4, 4), 2, s) for s in (1, 2, 2, 2)]


@pytest.mark.parametrize(
    ("held", "groups", "message"),
    [
        (nn.wide_resnet(22, 1, 10, (8, 8, 1)), [3, 3, 3], "fit resnet-14: it holds wrn-22-1; miss"),
        (nn.small_resnet(20, 10, (8, 8, 1)), [3, 3, 3], "it holds resnet-20; unknown 'layer1.2"),
        (nn.small_resnet(8, 10, (8, 8, 1)), [1, 1, 1], "it holds resnet-8; missing 'layer1.1"),
        (
            nn.ResNet("", BOTTLENECKS, True, 10, (8, 8, 1), None),
            [3, 4, 23, 3],
            "it holds a ResNet-101: 3, 4, 23, 3 blocks of 3 convolutions; unknown",
        ),
        (
            nn.ResNet("", BASIC, True, 10, (8, 8, 1), None),
            [2, 2, 2, 2],
            "it holds a ResNet-18: 2, 2, 2, 2 blocks of 2 convolutions; unknown",
        ),
    ],
)  # fmt: skip
def test_another_network_is_told(held, groups, message, tmp_path):
    path = as_file(tmp_path / "net", held, groups)
    with pytest.raises(FileError, match=message):
        load_weights(nn.small_resnet(14, 10, (8, 8, 1)), path)


@pytest.mark.parametrize(
    ("held", "groups", "message"),
    [
        (nn.wide_resnet(16, 8, 10, (8, 8, 1)), [2, 2, 2], "fit wrn-16-2: it holds wrn-16-8$"),
        (nn.wide_resnet(16, 2, 10, (8, 8, 3)), [2, 2, 2], r"conv1\.weight has shape \(16, 3, 3"),
        (bottlenecks(10, (8, 8, 1), None), [2, 2, 2], "it holds a ResNet-20: 2, 2, 2 blocks of 3"),
        (nn.resnet50(10, (32, 32, 1)), [3, 4, 6, 3], "it holds a ResNet-50: 3, 4, 6, 3 blocks"),
    ],
)  # fmt: skip
def test_another_network_than_a_wide_one_is_told(held, groups, message, tmp_path):
    path = as_file(tmp_path / "net", held, groups)
    with pytest.raises(FileError, match=message):
        load_weights(wide(), path)


def test_a_convolution_without_axes(tmp_path):
    arrays = theirs(wide(), [2, 2, 2]) | {"block1.layer.0.conv1.weight": np.array(1, np.float32)}
    save_file(arrays, tmp_path / "net")
    with pytest.raises(FileError, match=r"it holds a WideResNet: 2, 2, 2 blocks of 2 conv"):
        load_weights(wide(), tmp_path / "net")


def test_what_is_no_residual_network_is_told(tmp_path):
    save_file({"features.0.weight": np.zeros((64, 3, 3, 3))}, tmp_path / "vgg")
    with pytest.raises(FileError, match=r"it holds nothing .*; unknown 'features\.0\.weight'$"):
        load_weights(wide(), tmp_path / "vgg")


def test_from_tinybar_s_own_file(tmp_path):
    source, model, path = wide(), wide(), tmp_path / "teacher.safetensors"
    save_model(path, source, load("digits"))
    load_weights(model, path)
    own = model.state_dict()
    assert all(np.array_equal(own[name], array) for name, array in source.state_dict().items())


def spoilt(spoil) -> dict[str, np.ndarray]:
    arrays = theirs(wide(), [2, 2, 2])
    spoil(arrays)
    return arrays


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.update(extra=a["fc.bias"]), "fit wrn-16-2: unknown 'extra'$"),
        (lambda a: a.update({"conv9.weight": a["fc.bias"]}), r"unknown 'conv9\.weight'$"),
        (lambda a: a.pop("fc.bias"), r"fit wrn-16-2: missing 'fc\.bias'$"),
        (
            lambda a: a.pop("block1.layer.1.conv2.weight"),
            r"missing 'block1\.layer\.1\.conv2\.weight'$",
        ),
        (
            lambda a: a.pop("block2.layer.0.bn1.running_var"),
            r"'block2\.layer\.0\.bn1\.running_var'",
        ),
        (
            lambda a: a.update({"fc.bias": a["fc.bias"][:3]}),
            r"fc\.bias has shape \(3,\), .* \(10,\)",
        ),
        (lambda a: a.update({"fc.weight": a["fc.weight"].T}), r"shape \(128, 10\), .* \(10, 128\)"),
        (lambda a: a["fc.bias"].fill(np.nan), r"fc\.bias holds values that are not finite"),
        (lambda a: a["bn1.running_var"].fill(-1), r"bn1\.running_var holds a negative variance"),
        (
            lambda a: a.update({"fc.bias": np.zeros(10, int)}),
            r"fc\.bias has dtype float32, .* int64",
        ),
        (lambda a: a.clear(), r"missing 'block1\.layer\.0\.bn1\.bias' and \d\d more"),
        (
            lambda a: a.update({"block4.layer.0.conv1.weight": a["conv1.weight"]}),
            r"unknown 'block4\.layer\.0\.conv1\.weight'",
        ),
        (
            lambda a: a.update(x=a.pop("conv1.weight")),
            "fit wrn-16-2: missing 'conv1.weight'; unknown 'x'$",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_as_in_the_file(spoil, message, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({name: np.ascontiguousarray(a) for name, a in spoilt(spoil).items()}, path)
    with pytest.raises(ValueError, match=message) as error:
        load_weights(wide(), path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_shortcut_is_named_as_in_the_file(tmp_path):
    make, groups = CASES["small"]
    arrays = theirs(make(), groups)
    del arrays["layer2.0.downsample.1.weight"]
    save_file({f"module.{name}": array for name, array in arrays.items()}, tmp_path / "net")
    with pytest.raises(ValueError, match=r"missing 'module\.layer2\.0\.downsample\.1\.weight'$"):
        load_weights(make(), tmp_path / "net")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floating_point_numbers_are_converted(dtype, tmp_path):
    arrays = {name: a.astype(dtype) for name, a in theirs(wide(), [2, 2, 2]).items()}
    save_file(arrays, tmp_path / "net")
    model = wide()
    load_weights(model, tmp_path / "net")
    assert model.linear.weight.dtype == np.float32
    assert np.array_equal(model.linear.weight.data.T, arrays["fc.weight"].astype(np.float32))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.wide_resnet(10, 1, 10, (8, 8, 1)), "does not fit wrn-16-2: it holds wrn-10-1"),
        (nn.wide_resnet(16, 2, 10, (8, 8, 1), nn.HardConcrete), "with gates"),
        (nn.wide_resnet(16, 2, 10, (8, 8, 3)), r"stem\.weight has shape"),
    ],
)
def test_a_file_of_tinybar_s_that_does_not_fit(model, message, tmp_path):
    images = np.zeros((10, *model.image_shape), np.uint8)
    split = Split(images, np.arange(10))
    save_model(tmp_path / "a.safetensors", model, Dataset("ten", tuple("0123456789"), split, split))
    with pytest.raises(ValueError, match=message):
        load_weights(wide(), tmp_path / "a.safetensors")


@pytest.mark.parametrize("names", [("a", "b"), tuple("abcdefghij")])
def test_other_classes_take_another_head(names, tmp_path):
    path, model = tmp_path / "a.safetensors", nn.wide_resnet(16, 2, len(names), (8, 8, 1))
    save_model(path, wide(), load("digits"))
    weights = load_weights(model, path, names)
    assert weights.other_head == "10 classes (0, 1, 2, ...)"
    assert np.array_equal(model.stem.weight.data, weights.state["stem.weight"])


def test_classes_in_another_order_are_refused(tmp_path):
    path, digits = tmp_path / "a.safetensors", load("digits")
    save_model(path, wide(), digits)
    load_weights(wide(), path, digits.classes)
    with pytest.raises(ValueError, match="its classes are the same in another order"):
        load_weights(wide(), path, digits.classes[::-1])


@pytest.mark.parametrize("about", [{}, {"network": []}, {"network": {"kind": "full"}}])
def test_a_file_of_tinybar_s_without_a_network(about, tmp_path):
    save_arrays(tmp_path / "a", {}, about, "network")
    with pytest.raises(FileError, match="a holds no network: "):
        load_weights(wide(), tmp_path / "a")


@pytest.mark.parametrize("data", ["x", {"mean": 1, "std": [1]}, {"mean": [10**400], "std": [1]}])
def test_a_file_of_tinybar_s_whose_data_are_not_described(data, tmp_path):
    about = {"network": {"kind": "full", "name": "wrn-16-2", "gated": False}, "data": data}
    save_arrays(tmp_path / "a", wide().state_dict(), about, "network")
    with pytest.raises(FileError, match=r"a holds no network: |does not fit wrn-16-2: its mean"):
        load_weights(wide(), tmp_path / "a")


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        load_weights(wide(), tmp_path / "nowhere")
    (tmp_path / "half").write_bytes(b"\x10\0\0\0")
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_weights(wide(), tmp_path / "half")
