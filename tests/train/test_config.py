"""The options of a run: defaults, presets, TOML, and what no single option can check."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import tomli_w
from data.making import in_folder, tree

from tinybar.data import Augmentation
from tinybar.train.config import (
    Config,
    configure,
    from_table,
    load_preset,
    preset_names,
    read_toml,
    reconfigure,
)


def test_the_defaults_are_the_paper_s():
    """Section 5.1 and Supp. 3, for what the paper gives."""
    config = Config()
    assert (config.alpha, config.temperature, config.lr) == (0.9, 4.0, 1e-3)
    assert (config.weight_decay, config.batch_size) == (5e-4, 64)
    assert (config.epochs, config.teacher_epochs) == ((80, 40, 10), 90)
    assert (config.method, config.metric, config.schedule) == ("bar", "volume", "sigmoid")


FULL = Config(
    data="photos", model="wrn-28-12", method="scratch", budget="0.25", metric="flops",
    schedule="linear", distill=False, alpha=0.5, temperature=2.0, lambda_=1e-5, epochs=(3, 2, 1),
    teacher_epochs=4, batch_size=8, lr=0.01, gate_lr=0.02, weight_decay=0.0, seed=7,
    skip_closed=True, precision="fp32", teacher="/t.safetensors", teacher_slow_epochs=2,
    init_from_teacher=True, image_size=32, val_fraction=0.1, augment=False,
    conv_algorithm="gather", live="soft",
    shift=False, mirror=False,
    data_dir="/cache", checkpoint_minutes=1.5,
)  # fmt: skip


@pytest.mark.parametrize("config", [Config(), FULL])
def test_through_toml_and_back(config):
    text = tomli_w.dumps(config.as_table())
    assert from_table(tomllib.loads(text)) == config


def test_full_has_no_default():
    """Otherwise an option that is lost on the way would not be missed."""
    assert not vars(FULL).items() & vars(Config()).items()


def test_a_table_has_no_option_that_is_none():
    assert not {"lambda", "gate_lr", "teacher", "image_size"} & Config().as_table().keys()


def test_the_name_of_the_folder():
    name = Config(data="some/where/photos", budget="8x", seed=3).name()
    assert name == "photos-wrn-16-4-bar-8x-volume-seed3"
    assert "/" not in Config(data="/").name()


def test_former_names():
    assert from_table({"shrink": True}).skip_closed


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epochs": [0, 1, 1]}, "--epochs must begin with at least 1, got 0"),
        ({"teacher_epochs": 3, "teacher_slow_epochs": 4}, r"at most --teacher-epochs \(3\), got 4"),
        ({"gate_lr": 1e38}, r"--gate-lr must be in \(0, 1000\], got 1e\+38"),
        ({"temperature": 1e300}, r"--temperature must be in \[1, 1000\], got 1e\+300"),
        ({"lr": 1e300}, r"--lr must be within ±1e\+30, got 1e\+300"),
        ({"lambda_": 1e39}, r"--lambda must be within ±1e\+30, got 1e\+39"),
        ({"data": "caf\udce9"}, r"--data 'caf\\udce9' is not UTF-8"),
        ({"alpha": 2}, r"--alpha must be in \[0, 1\], got 2"),
    ],
)
def test_options_that_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_the_file_is_named():
    with pytest.raises(ValueError, match=r"^old/config.toml: unknown option 'x'"):
        from_table({"x": 1}, "old/config.toml")
    with pytest.raises(ValueError, match=r"^old/config.toml: --epochs must begin with at least 1"):
        from_table({"epochs": [0, 1, 1]}, "old/config.toml")


# --- presets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_table(name):
    table = load_preset(name)
    config = from_table(table).as_table()
    for key, value in table.items():
        assert config[key] == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper-cifar10", Config(data="cifar10", model="wrn-28-12")),
        ("paper-cifar100", Config(data="cifar100", model="wrn-28-12")),
        (
            "paper-miotcd",
            Config(
                data="mio-tcd", image_size=128, model="resnet50", epochs=(40, 20, 10),
                teacher_epochs=50, init_from_teacher=True,
            ),
        ),
    ],
)  # fmt: skip
def test_the_presets_of_the_paper(name, expected):
    """Section 5.1 and Supp. 3: lambda as printed, and one learning rate for all parameters."""
    options = {"budget": "16x", "lambda_": 1e-5, "gate_lr": 1e-3, "teacher_slow_epochs": 10}
    assert from_table(load_preset(name)) == dataclasses.replace(expected, **options)


def test_the_digits_have_a_preset_of_their_own(tmp_path, monkeypatch):
    cache = str(Path("data/cache").resolve())
    digits = dataclasses.replace(from_table(load_preset("digits")), data_dir=cache)
    assert configure({}) == configure({"data": "digits"}) == digits != Config()
    assert configure({"seed": 3}) == dataclasses.replace(digits, seed=3)
    assert configure({"data": ""}) == Config(data="", data_dir=cache)
    assert configure({"data": "digits"}, "paper-cifar10").model == "wrn-28-12"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # is not the embedded data set
    assert configure({}).data == "digits"


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte-order mark"])
def test_a_preset_in_a_file(mark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = mark + "model = 'wrn-16-1'\nbatch-size = 8"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    own = {"model": "wrn-16-1", "batch_size": 8, "data_dir": str(tmp_path / "data" / "cache")}
    assert configure({}, "mine.toml") == Config(**own)
    assert configure({"batch_size": 4}, "mine.toml").batch_size == 4


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    config = configure({"data": "photos", "teacher": "net.safetensors", "data_dir": "here"})
    assert config.data == str(tmp_path / "photos")
    assert config.teacher == str(tmp_path / "net.safetensors")
    assert config.data_dir == str(tmp_path / "here")
    assert configure({"data": "photos"}).data_dir == str(tmp_path / "data" / "cache")


def test_what_is_given_beside_resume(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved").mkdir()
    (tmp_path / "mine.toml").write_text("seed = 7")
    same = {"seed": 7, "alpha": 0.5, "epochs": (3, 2, 1)}
    assert reconfigure(FULL, same, "mine.toml") == FULL
    changes = {"data": "moved", "data_dir": "cache", "checkpoint_minutes": 2.0}
    paths = {"data": str(tmp_path / "moved"), "data_dir": str(tmp_path / "cache")}
    assert reconfigure(FULL, changes) == dataclasses.replace(FULL, **changes | paths)
    message = (
        r"^a run keeps its options: --method is 'scratch', not 'bar', --seed is 7, not 8; only "
        r"--data, --data-dir, --checkpoint-minutes, --device, --graph, --threads, "
        r"--detect-anomaly and what is printed may change$"
    )
    with pytest.raises(ValueError, match=message):
        reconfigure(FULL, {"seed": 8, "method": "bar", "data": "moved"})


def test_files_that_cannot_be_read(tmp_path):
    known = "digits, paper-cifar10, paper-cifar100, paper-miotcd, quick-cifar10, or the path"
    with pytest.raises(ValueError, match=f"unknown preset 'nope': use {known}"):
        load_preset("nope")
    with pytest.raises(ValueError, match="unknown preset"):
        load_preset(str(tmp_path / "absent.toml"))
    with pytest.raises(ValueError, match=r"cannot read .*absent.toml: No such file"):
        read_toml(tmp_path / "absent.toml")
    for content in (b"seed = ", b"\xff\xfe", b"seed = 1\nseed = 2"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad.toml is not valid TOML") as error:
            read_toml(tmp_path / "bad.toml")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["shift", "mirror"])
def test_augmentation_is_not_asked_for_and_turned_off_at_once(option):
    with pytest.raises(ValueError, match="--no-augment leaves no --shift and no --mirror"):
        Config(augment=False, **{option: True})
    assert not Config(augment=False, **{option: False}).augment


def test_shifts_and_mirror_images_reach_the_data_set(tmp_path):
    config = Config(data=str(in_folder(tmp_path / "set", tree((28, 28)))), mirror=False)
    assert config.dataset(tmp_path / "cache").augmentation == Augmentation(4, False)
