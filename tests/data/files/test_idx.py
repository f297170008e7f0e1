"""The idx format: what is read, and what is refused in one line."""

import gzip
import struct

import numpy as np
import pytest
from data.making import flipped, idx, noise, outcome_of, peak_of
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data.files.idx import read_idx, read_split

IMAGES = idx(noise(6, 5, 4))


def written(path, content: bytes, gzipped=False):
    path.write_bytes(gzip.compress(content) if gzipped else content)
    return path


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    gzipped=st.booleans(),
)
def test_any_array(tmp_path_factory, seed, shape, gzipped):
    array = noise(*shape, seed=seed)
    path = written(tmp_path_factory.getbasetemp() / "any", idx(array), gzipped)
    found = read_idx(path, axes=len(shape))
    assert found.dtype == np.uint8
    assert np.array_equal(found, array)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IMAGES[:-1], "is truncated: its header announces 120 values"),
        (IMAGES + b"x", "is too long: its header announces 120 values"),
        (b"\1" + IMAGES[1:], "is not an idx file of bytes"),
        (IMAGES[:2] + b"\x0d" + IMAGES[3:], "is not an idx file of bytes"),  # floats
        (IMAGES[:3] + b"\2" + IMAGES[4:], "has 2 axes, expected 3"),
        (IMAGES[:9], "is truncated: it ends in its header"),
        (b"", "is not an idx file of bytes"),
        (IMAGES[:4] + b"\xff" * 12, "which is too large"),
    ],
)
def test_what_is_refused(tmp_path, content, message, gzipped):
    path = written(tmp_path / "images", content, gzipped)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path, axes=3)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_gzip_file(tmp_path):
    path = written(tmp_path / "images.gz", gzip.compress(IMAGES)[:-30])
    with pytest.raises(ValueError, match=r"images.gz is truncated or damaged"):
        read_idx(path, axes=3)


def test_no_more_is_decompressed_than_announced(tmp_path):
    """64 MB of zeros behind a header of 120 values."""
    path = written(tmp_path / "images.gz", IMAGES + bytes(1 << 26), gzipped=True)
    assert peak_of(lambda: read_idx(path, axes=3)) < 4 << 20
    with pytest.raises(ValueError, match="too long"):
        read_idx(path, axes=3)


def test_one_label_per_image(tmp_path):
    images = written(tmp_path / "images", IMAGES)
    labels = written(tmp_path / "labels", idx(np.zeros(5)))
    with pytest.raises(ValueError, match=r"has 6 images, .* has 5 labels"):
        read_split(images, labels)


@pytest.mark.parametrize("gzipped", [False, True])
def test_an_announcement_takes_no_memory(tmp_path, gzipped):
    """3 GB announced, 120 bytes there."""
    header = struct.pack(">HBB3I", 0, 8, 3, 3_000_000, 32, 32)
    path = written(tmp_path / "images", header + bytes(120), gzipped)
    assert peak_of(lambda: read_idx(path, axes=3)) < 4 << 20
    with pytest.raises(ValueError, match="is truncated: its header announces 3,072,000,000 values"):
        read_idx(path, axes=3)


def test_flipped_bits(tmp_path):
    path = tmp_path / "images.gz"
    outcomes = [
        outcome_of(path, content, lambda path: read_idx(path, axes=3))
        for content in flipped(gzip.compress(IMAGES), 60)
    ]
    assert all(found is None or np.array_equal(found, noise(6, 5, 4)) for found in outcomes)
    assert sum(found is None for found in outcomes) > 50
