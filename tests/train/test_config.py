"""The table of options: from TOML and flags to a Config and back, and what is refused."""

import dataclasses
import math
import tomllib

import pytest
import tomli_w

from tinybar.train.config import PRESETS, Config, from_table, load_preset, read_toml


def test_the_defaults_are_the_paper_s():
    """Section 5.1 and Supp. 3, for what the paper gives."""
    config = Config()
    assert (config.alpha, config.temperature, config.lr) == (0.9, 4.0, 1e-3)
    assert (config.weight_decay, config.batch_size) == (5e-4, 64)
    assert (config.epochs, config.teacher_epochs) == ((80, 40, 10), 90)
    assert (config.method, config.metric, config.schedule) == ("bar", "volume", "sigmoid")


FULL = Config(
    data="photos", model="wrn-28-12", method="random", budget="0.25", metric="flops",
    schedule="linear", distill=False, alpha=0.5, temperature=2.0, lambda_=1e-5, epochs=(3, 2, 1),
    teacher_epochs=4, batch_size=8, lr=0.01, gate_lr=0.02, weight_decay=0.0, seed=7,
    shrink=True, precision="fp32", teacher="t.safetensors", teacher_slow_epochs=2,
    init_from_teacher=True, image_size=32, val_fraction=0.1, augment=False,
)  # fmt: skip


@pytest.mark.parametrize("config", [Config(), FULL])
def test_through_toml_and_back(config):
    text = tomli_w.dumps(config.as_table())
    assert from_table(tomllib.loads(text)) == config


def test_names_in_the_table_are_those_of_the_command_line():
    table = FULL.as_table()
    assert table["lambda"] == 1e-5
    assert "lambda_" not in table
    assert (
        not {"lambda", "gate_lr", "teacher", "image_size"} & Config().as_table().keys()
    )  # to be worked out
    assert from_table({"batch-size": 8, "gate-lr": 0.5}) == Config(batch_size=8, gate_lr=0.5)


def test_the_folder_s_name_tells_the_run():
    name = Config(data="some/where/photos", budget="8x", seed=3).name()
    assert name == "photos-wrn-16-4-bar-8x-volume-seed3"
    assert "/" not in Config(data="/").name()


def test_numbers_may_be_budgets():
    assert from_table({"budget": 0.125}).budget == "0.125"
    assert from_table({"budget": 200_000}).budget == "200000"


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_is_a_valid_table(path):
    table = load_preset(path.stem)
    assert (
        from_table(table).as_table().items()
        >= {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }.items()
    )


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
    """Section 5.1 and Supp. 3, in words of the paper: one rate for all, lambda as printed."""
    options = {"budget": "16x", "lambda_": 1e-5, "gate_lr": 1e-3, "teacher_slow_epochs": 10}
    assert from_table(load_preset(name)) == dataclasses.replace(expected, **options)


def test_a_preset_may_be_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("seed = 5")
    assert load_preset(str(path)) == {"seed": 5}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nope": 1}, "options: unknown option 'nope'"),
        ({"method": "magic"}, "--method 'magic' is unknown: use one of bar, random"),
        ({"metric": "watts"}, "--metric 'watts' is unknown: use one of volume, flops"),
        ({"schedule": "cosine"}, "--schedule 'cosine' is unknown"),
        ({"precision": "fp16"}, "--precision 'fp16' is unknown: use one of fp32, tf32"),
        ({"alpha": 1.5}, r"--alpha must be in \[0, 1\], got 1.5"),
        ({"alpha": math.nan}, "--alpha"),
        ({"temperature": 0.9}, "--temperature must be at least 1"),
        ({"temperature": math.inf}, "--temperature"),
        ({"lambda": -1}, "--lambda must be at least 0"),
        ({"lambda": math.nan}, "--lambda"),
        ({"epochs": [0, 1, 1]}, "--epochs must be three numbers"),
        ({"epochs": [1, 1]}, "--epochs must be three numbers"),
        ({"epochs": [1, -1, 1]}, "--epochs must be three numbers"),
        ({"epochs": [1, 1.5, 1]}, "epochs cannot be"),
        ({"epochs": 3}, "epochs cannot be 3"),
        ({"teacher_epochs": 0}, "--teacher-epochs must be at least 1"),
        ({"batch_size": 1}, "--batch-size must be at least 2"),
        ({"batch_size": True}, "batch-size cannot be True"),
        ({"batch_size": 2.5}, "batch-size cannot be 2.5"),
        ({"lr": 0}, "--lr must be positive"),
        ({"lr": math.inf}, "--lr must be positive, got inf"),
        ({"lr": "fast"}, "lr cannot be 'fast'"),
        ({"gate_lr": 0.0}, "--gate-lr must be positive"),
        ({"weight_decay": -1e-4}, "--weight-decay must be at least 0"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"distill": 1}, "distill cannot be 1"),
        ({"shrink": "yes"}, "shrink cannot be 'yes'"),
        ({"data": ["a"]}, "data cannot be"),
        ({"budget": {"volume": 3}}, "budget cannot be"),
    ],
)
def test_what_is_refused(table, message):
    with pytest.raises(ValueError, match=message) as error:
        from_table(table)
    assert "\n" not in str(error.value)


def test_the_source_is_named():
    with pytest.raises(ValueError, match=r"old/config.toml: unknown option 'x'"):
        from_table({"x": 1}, "old/config.toml")


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
