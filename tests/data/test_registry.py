"""Finding data sets by name or path, and the options of `load`."""

from pathlib import Path

import pytest
from data.making import in_folder, refused, tree

from tinybar.cli import main
from tinybar.data import DATASETS, NO_AUGMENTATION, Augmentation, load
from tinybar.data.registry import dataset


@pytest.mark.parametrize(
    "name", ["mnist2", "", "no/such/folder", "digits ", "a\nb", "a\0b", "x" * 5000]
)
def test_unknown_names(name):
    refused(name, f"unknown dataset {name!r}: expected a name ({', '.join(DATASETS)}), or an exis")


@pytest.mark.parametrize("name", [None, 3, b"digits"])
def test_names_are_strings_or_paths(name):
    with pytest.raises(TypeError, match="must be a string or a path"):
        load(name)


def test_the_help_lists_all_names(capsys):
    assert main(["train", "--help"]) == 0
    assert ", ".join(DATASETS) in " ".join(capsys.readouterr().out.split())


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="a data set called 'digits' is already registered"):
        dataset("digits")(DATASETS["digits"].load)


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "file.png").write_bytes(b"")
    refused(tmp_path / "file.png", "file.png' is no zip or tar archive, or it is damaged")


def test_a_folder_called_digits_is_reached_by_its_path(tmp_path, monkeypatch):
    in_folder(tmp_path / "digits", tree())
    monkeypatch.chdir(tmp_path)
    assert load("digits").image_shape == (8, 8, 1)
    assert load("./digits").image_shape == load(Path("digits")).image_shape == (6, 5, 3)


def test_image_size_is_refused_for_images_of_one_size():
    refused("digits", "--image-size is for image files: digits has", image_size=8)
    refused("digits", "--image-size must be at least 1, got 0", image_size=0)


def test_validation_and_augmentation_are_options_of_every_data_set(tmp_path):
    data = load("digits", val_fraction=0.1, seed=3)
    assert 0.08 * 1437 < len(data.val) < 0.12 * 1437
    assert len(data.val) + len(data.train) == len(load("digits").train)
    folder = in_folder(tmp_path, tree((28, 28, 3)))
    assert load(folder, augment=False).augmentation == NO_AUGMENTATION


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Augmentation(4, True)),
        ({"mirror": False}, Augmentation(4, False)),
        ({"shift": False}, Augmentation(0, True)),
        ({"shift": False, "mirror": False}, NO_AUGMENTATION),
        ({"shift": True, "mirror": True}, Augmentation(4, True)),
        ({"augment": False, "shift": True, "mirror": True}, NO_AUGMENTATION),
    ],
)
def test_shifts_and_mirror_images_by_a_switch_each(tmp_path, options, expected):
    assert load(in_folder(tmp_path, tree((28, 30))), **options).augmentation == expected


@pytest.mark.parametrize(("side", "pad"), [(6, 1), (8, 1), (21, 3), (27, 3)])
def test_small_images_are_shifted_if_asked(tmp_path, side, pad):
    in_folder(tmp_path, tree((side, 30)))
    assert load(tmp_path, shift=True).augmentation == Augmentation(pad)
    assert load(tmp_path, mirror=True).augmentation == Augmentation(0, True)
