"""MNIST's format: what is read, and what is refused in one line."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import load
from tinybar.data.files.idx import read_idx, read_split

RNG = np.random.default_rng


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def written(path, content: bytes, packed=False):
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans()
)
def test_any_array(folder, seed, shape, packed):
    array = RNG(seed).integers(0, 256, shape, dtype=np.uint8)
    found = read_idx(written(folder / "any", idx(array), packed), axes=len(shape))
    assert found.dtype == np.uint8
    assert np.array_equal(found, array)


IMAGES = RNG(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b[:-1], "is truncated: its header announces 120 values"),
        (lambda b: b + b"x", "is too long: its header announces 120 values"),
        (lambda b: b"\1" + b[1:], "is not an idx file of bytes"),
        (lambda b: b[:2] + b"\x0d" + b[3:], "is not an idx file of bytes"),  # floats
        (lambda b: b[:3] + b"\2" + b[4:], "has 2 axes, 3 are expected"),
        (lambda b: b[:9], "is truncated: it ends in its header"),
        (lambda b: b"", "is not an idx file of bytes"),
        (lambda b: b[:4] + b"\xff" * 12, "which is too large"),
    ],
)
def test_what_is_refused(tmp_path, spoil, message, packed):
    path = written(tmp_path / "images", spoil(idx(IMAGES)), packed)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path, axes=3)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_packed_file_cut_short(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES))[:-30])
    with pytest.raises(ValueError, match=r"cannot read .*images.gz"):
        read_idx(path, axes=3)


def test_of_a_packed_file_no_more_is_read_than_announced(tmp_path):
    """A gigabyte of zeros behind a header of 120 values."""
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(idx(IMAGES))
        for _ in range(64):
            file.write(bytes(1 << 24))
    with pytest.raises(ValueError, match="too long"):
        read_idx(path, axes=3)


def test_as_many_labels_as_images(tmp_path):
    images = written(tmp_path / "images", idx(IMAGES))
    labels = written(tmp_path / "labels", idx(np.zeros(5)))
    with pytest.raises(ValueError, match=r"holds 6 images, but .* 5 labels"):
        read_split(images, labels)


LABELS = np.arange(20) % 10


def mnist(folder, labels=LABELS, name="mnist"):
    """A small MNIST in a data directory."""
    (folder / name).mkdir(parents=True)
    for part in ("train", "t10k"):
        pixels = RNG(1).integers(0, 256, (len(labels), 7, 6), dtype=np.uint8)
        written(folder / name / f"{part}-images-idx3-ubyte.gz", idx(pixels), packed=True)
        written(folder / name / f"{part}-labels-idx1-ubyte.gz", idx(labels), packed=True)
    return folder


@pytest.mark.parametrize(("name", "flips"), [("mnist", False), ("fashion-mnist", True)])
def test_by_name(tmp_path, name, flips):
    data = load(name, cache_dir=mnist(tmp_path, name=name))
    assert (data.name, data.num_classes, data.image_shape) == (name, 10, (7, 6, 1))
    assert (data.augmentation.pad, data.augmentation.flip) == (4, flips)
    assert np.array_equal(data.train.labels, np.arange(20) % 10)


def test_labels_past_the_number_of_classes(tmp_path):
    with pytest.raises(ValueError, match=r"labels out of range: train has 0..10"):
        load("mnist", cache_dir=mnist(tmp_path, labels=np.arange(22) % 11))
