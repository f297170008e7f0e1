"""Data sets of image files in folders: what is read, and what is refused in one line.

tests/data/files/test_archives.py holds archives to the same.
"""

import os
import shutil

import numpy as np
import pytest
from data.making import encoded, in_folder, in_tar, in_zip, noise, refused, tree
from PIL import Image

from tinybar.data import NO_AUGMENTATION, Augmentation, load

RGB = (6, 5, 3)


@pytest.mark.parametrize(("suffix", "shape"), [("png", RGB), ("jpeg", RGB), ("PNG", RGB[:2])])
def test_images_and_labels_are_those_of_the_files(tmp_path, suffix, shape):
    data = load(str(in_folder(tmp_path / "pets", tree(shape, suffix=suffix))))
    height, width, channels = (*shape, 1)[:3]
    assert (data.name, data.classes) == ("pets", ("cat", "dog"))
    assert data.image_shape == (height, width, channels)
    for name, split in (("train", data.train), ("test", data.test)):
        assert split.labels.tolist() == [0, 0, 1, 1]
        paths = sorted((tmp_path / "pets" / name).rglob(f"*.{suffix}"))
        for path, image in zip(paths, split.images, strict=True):
            assert np.array_equal(np.asarray(Image.open(path)), image.squeeze())


@pytest.mark.parametrize("path", ["train/cat/0.png", "train/dog/0.png"])
def test_one_colour_image_makes_all_of_them_rgb(tmp_path, path):
    colour, grey = noise(4, 4, 3), noise(4, 4)
    contents = tree((4, 4)) | {path: encoded(colour), "test/cat/0.png": encoded(grey)}
    data = load(in_folder(tmp_path, contents))
    assert np.array_equal(data.train.images[2 * ("dog" in path)], colour)
    assert np.array_equal(data.test.images[0], np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("size", "augmentation"), [(27, NO_AUGMENTATION), (28, Augmentation(4, True))]
)
def test_images_of_28_pixels_are_augmented(tmp_path, size, augmentation):
    assert load(in_folder(tmp_path, tree((size, 30, 3)))).augmentation == augmentation


def test_hidden_and_other_files_are_ignored(tmp_path):
    others = ("train/.cache/0.png", "train/cat/.hidden.png", "train/cat/a.txt", "train/README.md")
    in_folder(tmp_path, tree() | dict.fromkeys(others, b"no image"))
    (tmp_path / "train" / "cat" / "folder.png").mkdir()
    assert len(load(tmp_path).train) == 4


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (["train"], "has no folder 'train': expected train/CLASS/*.png and test/CLASS/*.png"),
        (["test"], "has no folder 'test'"),
        (["test/cat", "test/dog"], "has no class folders: expected one folder per class"),
        (["test/dog/0.png", "test/dog/1.png"], "class folder ... /test/dog' has no images (.jpg, "),
        (["test/dog"], "must have the same classes; only one of them has dog"),
        (["train/dog", "test/dog"], "at least two classes are needed, got ('cat',)"),
    ],
)
def test_missing_folders_and_files(tmp_path, removed, message):
    in_folder(tmp_path, tree())
    for path in (tmp_path / name for name in removed):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "image ... /test/dog/0.png' is empty (0 bytes)"),
        (b"text", "0.png' is not a readable JPEG or PNG file"),
        (encoded(noise(*RGB), "BMP"), "0.png' is not a readable JPEG or PNG file"),
        (
            encoded(noise(5, 6, 3)),
            "images must be of one size: ... /test/dog/0.png' is 6x5, but ... 0.png' is 5x6 ... "
            "--image-size N resizes and crops them to NxN",
        ),
        (
            encoded(np.zeros((6, 5), np.uint16)),
            "0.png' has mode I;16: expected 8 bits per value, grey or colour",
        ),
    ],
)
def test_files_that_are_no_usable_image(tmp_path, content, message):
    refused(in_folder(tmp_path, tree() | {"test/dog/0.png": content}), message)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.9])
def test_a_truncated_image(tmp_path, suffix, fraction):
    contents, name = tree((40, 40, 3), suffix=suffix), f"train/cat/1.{suffix}"
    contents[name] = contents[name][: int(len(contents[name]) * fraction)]
    refused(in_folder(tmp_path, contents), f"image {str(tmp_path / name)!r}")


def test_a_folder_without_permission_to_list_it(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    in_folder(tmp_path, tree())
    monkeypatch.setattr(os, "scandir", refuse)
    refused(tmp_path, f"cannot read {tmp_path / 'train'}: Permission denied")


# --- what is passed over, and what names are -----------------------------------------------------

PASSED_OVER = {
    "train/cat/a.webp": 1, "train/cat/a.GIF": 1, "test/dog/a.bmp": 1, "train/dog/b.webp": 1,
    "train/cat/.hidden.png": 1, "train/.cache/0.png": 1, "train/loose.jpg": 1,
    "test/cat/sub/1.png": 1, "train/cat/sub/deeper/1.png": 1, "train/cat/._0.png": 0,
    "train/cat/notes.txt": 0, "train/Thumbs.db": 0, "val/cat/0.png": 0, "0.png": 0,
}  # fmt: skip


@pytest.mark.parametrize("make", [in_folder, in_zip, in_tar])
def test_images_that_are_passed_over_are_told_in_one_line(tmp_path, make):
    path = make(tmp_path / "pets", tree() | dict.fromkeys(PASSED_OVER, b"no image"))
    for _ in range(2):  # scanned, and from the list in the cache
        data = load(path, cache_dir=tmp_path / "cache")
        assert len(data.train) + len(data.test) == 8
        (note,) = data.notes
        head, _, reasons = note.partition(": ")
        assert head == f"images skipped in {str(path)!r}"
        assert sorted(reasons.split(", ")) == [
            "1 .bmp", "1 .gif", "2 .webp", "2 hidden", "3 not directly in a class folder"
        ]  # fmt: skip


def test_with_nothing_passed_over_there_is_nothing_to_tell(tmp_path):
    assert load(in_folder(tmp_path, tree(suffix="JPG"))).notes == ()


def test_a_class_whose_images_are_all_of_another_kind(tmp_path):
    contents = {name: c for name, c in tree().items() if not name.startswith("test/dog/")}
    in_folder(tmp_path, contents | {"test/dog/0.webp": b"", "test/dog/sub/0.png": b""})
    refused(tmp_path, "/test/dog' has no images (.jpg, .jpeg, .png); it has 1 ")


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path):
    in_folder(tmp_path, tree())
    for name, target in (("9.png", "9.png"), ("8.png", "gone.png"), ("around", "..")):
        (tmp_path / "train" / "cat" / name).symlink_to(target)
    (tmp_path / "test" / "dog" / "linked.png").symlink_to("0.png")
    data = load(tmp_path)
    assert (len(data.train), len(data.test)) == (4, 5)
    assert data.notes == (f"images skipped in {str(tmp_path)!r}: 2 broken links",)
    shutil.rmtree(tmp_path / "train")
    (tmp_path / "train").symlink_to("train")
    refused(tmp_path, "has no folder 'train'")


def test_names_are_compared_as_they_are_seen(tmp_path):
    """A Mac stores the same name decomposed; upper and lower case differ, and that is told."""
    one, other = "caf\u00e9", "cafe\u0301"
    images = [encoded(noise(4, 4, 3, seed=k)) for k in range(6)]
    names = f"train/{one}", f"test/{other}", "train/Dog", "test/Dog", "train/dog", "test/dog"
    contents = {f"{name}/0.png": image for name, image in zip(names, images, strict=True)}
    for path in (in_folder(tmp_path / "a", contents), in_zip(tmp_path / "b", contents)):
        data = load(path)
        assert data.classes == ("Dog", one, "dog")
        assert data.notes == ("classes that differ in upper and lower case alone: Dog, dog",)


def test_class_names_that_are_not_utf8(tmp_path):
    contents = tree((4, 4, 3), classes=("a", "b\udcff"))
    for path in (in_folder(tmp_path / "s\udcfe", contents), in_tar(tmp_path / "t", contents)):
        data = load(path, cache_dir=tmp_path / "cache")
        assert data.classes == ("a", "b\\xff")
    assert load(tmp_path / "s\udcfe").name == "s\\xfe"
