"""The embedded digits."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from data.making import flipped, outcome_of, same

from tinybar.data import NO_AUGMENTATION, load
from tinybar.data.named import digits as module
from tinybar.data.named.digits import find_archive
from tinybar.runtime.files import FileError

SHA256 = "13a785eb7d2a25e1132ceea283c0eaa840684c927f6a7d5bb175f360112390d8"  # of digits.npz
TRAIN = [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]  # per class, as in data/README.md
TEST = [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def test_the_archive_is_the_one_that_was_checked():
    assert hashlib.sha256(find_archive().read_bytes()).hexdigest() == SHA256


def test_the_splits():
    digits = load("digits")
    assert (digits.name, digits.num_classes, digits.image_shape) == ("digits", 10, (8, 8, 1))
    assert np.bincount(digits.train.labels).tolist() == TRAIN
    assert np.bincount(digits.test.labels).tolist() == TEST
    assert digits.augmentation == NO_AUGMENTATION
    assert digits.train.images.max() == digits.scale == 16
    images = np.concatenate([digits.train.images, digits.test.images])
    assert len({image.tobytes() for image in images}) == 1797  # no image is in both


def test_the_nearest_training_image_has_the_right_label_for_98_6_percent():
    """As data/README.md says: images and labels belong together."""
    digits = load("digits")
    train = digits.train.images.reshape(-1, 64).astype(float)
    test = digits.test.images.reshape(-1, 64).astype(float)
    distance = (train**2).sum(1) - 2 * test @ train.T
    right = digits.train.labels[distance.argmin(axis=1)] == digits.test.labels
    assert round(100 * right.mean(), 1) == 98.6


def test_a_missing_archive(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    with pytest.raises(FileNotFoundError, match=r"the embedded digits are missing: .*reinstall"):
        load("digits")


def test_flipped_bits(tmp_path, monkeypatch):
    path, whole, expected = tmp_path / "digits.npz", find_archive().read_bytes(), load("digits")
    monkeypatch.setattr(module, "find_archive", lambda: path)
    outcomes = [
        outcome_of(path, content, lambda _: load("digits")) for content in flipped(whole, 60)
    ]
    assert all(found is None or same(found, expected) for found in outcomes)
    assert outcomes.count(None) > 40


def test_an_array_that_is_not_read_to_its_end_is_checked_to_its_end(tmp_path, monkeypatch):
    """NumPy reads as much as the array's header says; zipfile compares the CRC at the end."""
    path, whole = tmp_path / "digits.npz", find_archive().read_bytes()
    path.write_bytes(whole.replace(b"(1797, 8, 8)", b"(1797, 8, 4)"))
    monkeypatch.setattr(module, "find_archive", lambda: path)
    with pytest.raises(FileError, match=r"digits.npz is truncated or damaged: Bad CRC"):
        load("digits")
