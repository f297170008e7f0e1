"""Data sets of image files in folders: what is read, and what is refused in one line.

tests/data/files/test_archives.py holds archives to the same.
"""

import os
import shutil

import numpy as np
import pytest
from data.making import encoded, in_folder, noise, refused, tree
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
    refused(tmp_path, f"cannot list folder {str(tmp_path / 'train')!r}: Permission denied")
