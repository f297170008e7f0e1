"""The embedded digits, and folders of images."""

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinybar.data import NAMES, NO_AUGMENTATION, Augmentation, load
from tinybar.data.sources import _digits_path

SHA256 = "13a785eb7d2a25e1132ceea283c0eaa840684c927f6a7d5bb175f360112390d8"  # of digits.npz
TRAIN = [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]  # as data/README.md says
TEST = [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def write(root: Path, files: dict[str, np.ndarray]) -> Path:
    """Image files of these pixels under root."""
    for name, pixels in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tree(root: Path, shape=(6, 5, 3), classes=("cat", "dog"), per_class=2, suffix="png") -> Path:
    files = {
        f"{part}/{name}/{k}.{suffix}": noise(*shape, seed=hash((i, j, k)) % 1000)
        for i, part in enumerate(("train", "test"))
        for j, name in enumerate(classes)
        for k in range(per_class)
    }
    return write(root, files)


# --- digits --------------------------------------------------------------------------------------


def test_the_archive_is_the_one_that_was_checked():
    assert hashlib.sha256(_digits_path().read_bytes()).hexdigest() == SHA256


def test_digits():
    digits = load("digits")
    assert (digits.name, digits.num_classes, digits.image_shape) == ("digits", 10, (8, 8, 1))
    assert np.bincount(digits.train.labels).tolist() == TRAIN
    assert np.bincount(digits.test.labels).tolist() == TEST
    assert digits.augmentation == NO_AUGMENTATION
    assert digits.train.images.max() == digits.scale == 16
    normal = digits.normalise(digits.train.images).astype(float)
    assert abs(normal.mean()) < 1e-6
    assert abs(normal.std() - 1) < 1e-6


def test_no_digit_is_in_both_splits():
    digits = load("digits")
    with np.load(_digits_path(), allow_pickle=False) as stored:
        indices = np.concatenate([stored["train"], stored["test"]])
    assert np.array_equal(np.sort(indices), np.arange(1797))
    images = np.concatenate([digits.train.images, digits.test.images])
    assert len({image.tobytes() for image in images}) == 1797


def test_the_digits_are_recognisable():
    """The nearest training image has the right label for 98.6 % of the test images."""
    digits = load("digits")
    train = digits.train.images.reshape(-1, 64).astype(float)
    test = digits.test.images.reshape(-1, 64).astype(float)
    distance = (train**2).sum(1) - 2 * test @ train.T
    right = digits.train.labels[distance.argmin(axis=1)] == digits.test.labels
    assert round(100 * right.mean(), 1) == 98.6


def test_a_missing_archive_is_told(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    with pytest.raises(FileNotFoundError, match=r"the embedded digits are missing: .*reinstall"):
        load("digits")


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_of_png_files_is_read_exactly(tmp_path):
    data = load(tree(tmp_path / "pets"))
    assert (data.name, data.classes, data.image_shape) == ("pets", ("cat", "dog"), (6, 5, 3))
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 0, 1, 1]
    for part, split in (("train", data.train), ("test", data.test)):
        paths = sorted((tmp_path / "pets" / part).rglob("*.png"))
        for path, image in zip(paths, split.images, strict=True):
            assert np.array_equal(np.asarray(Image.open(path)), image)


def test_a_folder_of_jpeg_files_is_read_as_pillow_reads_it(tmp_path):
    data = load(str(tree(tmp_path, suffix="jpeg")))
    with Image.open(tmp_path / "test" / "dog" / "1.jpeg") as image:
        assert np.array_equal(np.asarray(image), data.test.images[3])


def test_grey_folders_have_one_channel(tmp_path):
    assert load(tree(tmp_path, shape=(4, 4))).image_shape == (4, 4, 1)


@pytest.mark.parametrize("first", [True, False])
def test_one_colour_image_makes_all_of_them_rgb(tmp_path, first):
    grey = noise(4, 4)
    colour = noise(4, 4, 3)
    tree(tmp_path, shape=(4, 4))
    write(tmp_path, {"train/cat/0.png": colour if first else grey, "test/dog/1.png": colour})
    data = load(tmp_path)
    assert data.image_shape == (4, 4, 3)
    assert np.array_equal(data.test.images[3], colour)
    assert (data.train.images[1] == data.train.images[1][..., :1]).all()


@pytest.mark.parametrize(("size", "augmented"), [(27, False), (28, True)])
def test_larger_images_are_augmented(tmp_path, size, augmented):
    data = load(tree(tmp_path, shape=(size, 30, 3), per_class=1))
    assert data.augmentation == (Augmentation(4, True) if augmented else NO_AUGMENTATION)


def test_hidden_and_other_files_are_ignored(tmp_path):
    tree(tmp_path)
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "cat" / ".hidden.png").write_bytes(b"")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / "cat" / "folder.png").mkdir()
    (tmp_path / "train" / "README.md").write_text("not a class")
    assert len(load(tmp_path).train) == 4


def test_suffixes_may_be_upper_case(tmp_path):
    tree(tmp_path)
    (tmp_path / "train" / "cat" / "0.png").rename(tmp_path / "train" / "cat" / "0.PNG")
    assert len(load(tmp_path).train) == 4


def test_a_folder_called_digits_is_reached_by_its_path(tmp_path, monkeypatch):
    tree(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert load("digits").image_shape == (8, 8, 1)
    assert load("./digits").image_shape == (6, 5, 3)
    assert load(Path("digits")).image_shape in {(8, 8, 1), (6, 5, 3)}


# --- errors: ValueError, one line ----------------------------------------------------------------


def refused(path, message, **options):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["mnist2", "", "no/such/folder", "digits ", "a\nb", "a\0b", "x" * 5000]
)
def test_unknown_names(name):
    refused(name, f"unknown dataset {name!r}: it is neither a known name ({', '.join(NAMES)}) nor")


@pytest.mark.parametrize("name", [None, 3, b"digits"])
def test_names_are_strings_or_paths(name):
    with pytest.raises(TypeError, match="must be a string or a path"):
        load(name)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file.png").write_bytes(b"")
    refused(tmp_path / "file.png", "unknown dataset")


def test_missing_splits(tmp_path):
    refused(tmp_path, "has no folder 'train': train/CLASS/*.png and test/CLASS/*.png are expected")
    tree(tmp_path)
    (tmp_path / "test").rename(tmp_path / "tset")
    refused(tmp_path, "has no folder 'test'")


def test_a_split_without_classes(tmp_path):
    (tmp_path / "train").mkdir()
    refused(tmp_path, "has no class folders: one folder per class is expected")


def test_an_empty_class(tmp_path):
    tree(tmp_path)
    (tmp_path / "test" / "emu").mkdir()
    refused(tmp_path, f"class folder {str(tmp_path / 'test' / 'emu')!r} has no images (.jpg, .jpe")


def test_a_single_class(tmp_path):
    refused(tree(tmp_path, classes=("cat",)), "at least two classes are needed, got ('cat',)")


def test_different_classes(tmp_path):
    tree(tmp_path)
    write(tmp_path, {"test/emu/0.png": noise(6, 5, 3)})
    refused(tmp_path, "must have the same classes; only one of them has emu")


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    tree(tmp_path)
    monkeypatch.setattr(os, "scandir", refuse)
    refused(tmp_path, f"cannot list folder {str(tmp_path / 'train')!r}: Permission denied")


def test_an_empty_file(tmp_path):
    tree(tmp_path)
    path = tmp_path / "train" / "dog" / "1.png"
    path.write_bytes(b"")
    refused(tmp_path, f"image {str(path)!r} is empty (0 bytes)")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.9])
def test_a_truncated_image(tmp_path, suffix, keep):
    tree(tmp_path, shape=(40, 40, 3), suffix=suffix)
    path = tmp_path / "train" / "cat" / f"1.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(tmp_path, f"image {str(path)!r}")


def test_what_only_looks_like_an_image(tmp_path):
    tree(tmp_path)
    (tmp_path / "train" / "cat" / "1.png").write_text("this is not a picture")
    refused(tmp_path, "1.png' is not a readable JPEG or PNG file")


def test_another_format_under_a_png_name(tmp_path):
    tree(tmp_path)
    Image.fromarray(noise(6, 5, 3)).save(tmp_path / "train" / "cat" / "1.png", format="BMP")
    refused(tmp_path, "1.png' is not a readable JPEG or PNG file")


def test_mixed_sizes(tmp_path):
    tree(tmp_path)
    write(tmp_path, {"test/dog/1.png": noise(5, 6, 3)})
    refused(tmp_path, "images must be of one size: ")
    refused(tmp_path, "1.png' is 6x5, but ")


def test_sixteen_bits(tmp_path):
    tree(tmp_path, shape=(4, 4))
    write(tmp_path, {"train/dog/0.png": np.zeros((4, 4), np.uint16)})
    refused(tmp_path, "has mode I;16: 8 bits per value, grey or colour, are expected")


# --- MIO-TCD, and options ------------------------------------------------------------------------


def test_of_mio_tcd_a_tenth_is_held_out_as_test(tmp_path):
    for label in ("bus", "car"):
        folder = tmp_path / "mio-tcd" / "train" / label
        folder.mkdir(parents=True)
        for k in range(20):
            Image.new("RGB", (40 + k, 30), (k, 0, 0)).save(folder / f"{k}.jpg")
    first, again = (load("mio-tcd", cache_dir=tmp_path) for _ in range(2))
    assert (first.image_shape, first.classes) == ((128, 128, 3), ("bus", "car"))
    assert (len(first.train), len(first.test)) == (36, 4)
    assert sorted(first.test.labels) == [0, 0, 1, 1]
    assert np.array_equal(first.test.images, again.test.images)
    assert load("mio-tcd", cache_dir=tmp_path, image_size=8).image_shape == (8, 8, 3)


def test_mio_tcd_is_not_fetched(tmp_path):
    refused("mio-tcd", "put the classification set of MIO-TCD", cache_dir=tmp_path)


def test_a_named_set_has_its_size():
    refused("digits", "--image-size is for images in files", image_size=8)
    refused("digits", "--image-size must be at least 1", image_size=0)


def test_options_of_any_set():
    data = load("digits", val_fraction=0.1, seed=3)
    assert 0.08 * 1437 < len(data.val) < 0.12 * 1437
    assert len(data.val) + len(data.train) == len(load("digits").train)


def test_without_augmentation(tmp_path):
    folder = tree(tmp_path, shape=(28, 28, 3), per_class=1)
    assert load(folder, augment=False).augmentation == NO_AUGMENTATION
