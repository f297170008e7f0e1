"""Splits and data sets: their checks, normalisation, and images held out for validation."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import Augmentation, Dataset, Split
from tinybar.data.normalisation import channel_statistics


def split(shape=(4, 3, 5, 2), classes=2, seed=0, most=255) -> Split:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, most + 1, shape, dtype=np.uint8)
    return Split(images, np.arange(len(images)) % classes)


def dataset(**changes) -> Dataset:
    parts = {"name": "toy", "classes": ("a", "b"), "train": split(), "test": split(seed=1)}
    return Dataset(**{**parts, **changes})


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3, st.integers(1, 3)),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([16.0, 100.0, 255.0]),
)
def test_statistics_and_normalise_agree_with_the_plain_formulas(shape, seed, scale):
    shape, most = (2 * shape[0], *shape[1:]), int(scale)
    train, test = (split(shape, seed=s, most=most) for s in (seed, seed + 1))
    data = dataset(train=train, test=test, scale=scale)
    x = train.images / scale
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    std = np.where(std > 1e-12, std, 1)
    np.testing.assert_allclose(data.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(data.std, std, rtol=1e-6)
    assert data.mean.dtype == data.std.dtype == np.float32
    normal = data.normalise(train.images)
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal, (x - mean) / std, rtol=1e-5, atol=1e-5 / std.min())


def test_statistics_of_more_images_than_one_piece():
    images = np.random.default_rng(0).integers(0, 256, (2049, 1, 2, 1), dtype=np.uint8)
    mean, std = channel_statistics(images, 255)
    np.testing.assert_allclose([mean[0], std[0]], [(images / 255).mean(), (images / 255).std()])


@pytest.mark.parametrize("value", [0, 3, 7, 200, 255])
def test_a_constant_channel_normalises_to_zeros(value):
    images = np.full((6, 2, 2, 1), value, np.uint8)
    data = dataset(train=Split(images, np.arange(6) % 2), test=split((2, 2, 2, 1)))
    assert data.std == 1
    np.testing.assert_allclose(data.normalise(images), 0, atol=1e-7)


def test_normalise_accepts_no_images():
    assert dataset().normalise(np.empty((0, 3, 5, 2), np.uint8)).shape == (0, 3, 5, 2)


IMAGES, LABELS = np.zeros((2, 3, 3, 1), np.uint8), np.arange(2)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (IMAGES.tolist(), LABELS, TypeError, "images must be uint8 of shape (N, H, W, C), got a l"),
        (IMAGES / 1, LABELS, TypeError, "images must be uint8"),
        (IMAGES[0], LABELS, ValueError, "(N, H, W, C), got shape (3, 3, 1)"),
        (IMAGES, LABELS.astype("u1"), TypeError, "labels must be int64 of shape (N), got uint8"),
        (IMAGES, LABELS[:, None], ValueError, "labels must be int64 of shape (N), got shape (2, 1"),
        (IMAGES, LABELS[:1], ValueError, "2 images with 1 labels"),
        (IMAGES[:0], LABELS[:0], ValueError, "a split needs images, got shape (0, 3, 3, 1)"),
        (IMAGES[:, :0], LABELS, ValueError, "a split needs images"),
    ],
)
def test_invalid_splits(images, labels, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        Split(images, labels)
    assert "\n" not in str(caught.value)


LOW = Split(split().images, np.array([0, 1, 1, -1]))
HIGH = Split(split().images, np.array([0, 1, 2, 1]))
ONE_CLASS = Split(split().images, np.zeros(4, np.int64))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"classes": ["a", "b"]}, TypeError, "classes must be a tuple of strings"),
        ({"classes": ("a", 2)}, TypeError, "classes must be a tuple of strings"),
        ({"classes": ("a",)}, ValueError, "at least two classes"),
        ({"classes": ("a", "a")}, ValueError, "class names must differ"),
        ({"train": None}, TypeError, "train must be a Split, got a NoneType"),
        ({"train": LOW}, ValueError, "labels out of range: train has -1..1, 2 classes allow 0..1"),
        ({"test": HIGH}, ValueError, "labels out of range: test has 0..2, 2 classes allow 0..1"),
        ({"train": ONE_CLASS}, ValueError, "classes without a training image: b"),
        ({"test": split((4, 3, 4, 2))}, ValueError, "test images are (3, 4, 2), but the training"),
        ({"scale": 0.0}, ValueError, "scale must be in (0, 255], got 0.0"),
        ({"scale": 256.0}, ValueError, "scale must be in (0, 255]"),
        ({"scale": float("nan")}, ValueError, "scale must be in (0, 255]"),
        ({"scale": 16.0}, ValueError, "train images reach 2"),
        ({"augmentation": 4}, TypeError, "augmentation must be an Augmentation, got 4"),
        ({"augmentation": Augmentation(3)}, ValueError, "augmentation pad 3 must be smaller"),
    ],
)
def test_invalid_data_sets(changes, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        dataset(**changes)
    assert "\n" not in str(caught.value)


def test_normalise_refuses_another_dtype_or_shape():
    with pytest.raises(TypeError, match="images must be uint8"):
        dataset().normalise(np.zeros((1, 3, 5, 2), np.float32))
    with pytest.raises(ValueError, match=r"images are \(3, 5, 1\), but .* 'toy' are \(3, 5, 2\)"):
        dataset().normalise(np.zeros((1, 3, 5, 1), np.uint8))


# --- the fingerprint ------------------------------------------------------------------------------


def changed(array: np.ndarray, index, value) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def test_the_fingerprint_is_that_of_the_content():
    """Not of the name, the augmentation, the layout in memory, or what was asked before."""
    data = dataset()
    views = Split(np.asfortranarray(data.train.images), data.train.labels[::-1].copy()[::-1])
    same = dataset(name="other", train=views, augmentation=Augmentation(1))
    assert data.fingerprint == same.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", data.fingerprint)


def test_every_change_of_the_data_changes_the_fingerprint():
    """A pixel and a label of each split, a class, the order, the scale, and what is held out."""
    few, held_out = split(most=16), split(seed=2)
    pixel = changed(few.images, (3, 2, 4, 1), few.images[3, 2, 4, 1] ^ 1)
    changes = [
        {},
        {"classes": ("b", "a")},
        {"train": few, "test": few},
        {"train": few, "test": few, "scale": 16.0},
        {"train": Split(pixel, few.labels), "test": few},
        {"train": few, "test": Split(pixel, few.labels)},
        {"train": Split(few.images, few.labels[::-1].copy()), "test": few},
        {"train": Split(few.images[::-1], few.labels), "test": few},
        {"val": held_out},
        {"val": Split(held_out.images, held_out.labels[::-1].copy())},
    ]
    assert len({dataset(**change).fingerprint for change in changes}) == len(changes)


# --- validation -----------------------------------------------------------------------------------


def counted(n_per_class=(7, 3, 2)) -> Dataset:
    labels = np.repeat(np.arange(len(n_per_class)), n_per_class)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    split = Split(images, labels)
    return Dataset("counted", tuple("abc"[: len(n_per_class)]), split, split)


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5, 0.99])
def test_a_fraction_of_every_class_is_held_out(fraction):
    data = counted().with_validation(fraction, seed=1)
    for label, n in enumerate((7, 3, 2)):
        held_out = int((data.val.labels == label).sum())
        assert held_out == min(max(1, round(fraction * n)), n - 1)
        assert held_out + (data.train.labels == label).sum() == n
    both = np.concatenate([data.train.images, data.val.images])[:, 0, 0, 0]
    assert sorted(both) == list(range(12))  # every image once


def test_the_seed_decides_which_images_are_held_out():
    first, again, other = (counted().with_validation(0.4, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.val.images, again.val.images)
    assert not np.array_equal(first.val.images, other.val.images)


def test_a_fraction_of_zero_holds_out_nothing():
    data = counted()
    assert data.with_validation(0.0) is data
    assert data.val is None


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, math.nan])
def test_fractions_out_of_range(fraction):
    with pytest.raises(ValueError, match="--val-fraction must be in"):
        counted().with_validation(fraction)


def test_a_class_with_one_image_has_none_to_hold_out():
    with pytest.raises(ValueError, match="class 'b' has one training image"):
        counted((3, 1)).with_validation(0.5)


# --- how it looks ---------------------------------------------------------------------------------


def small(classes: tuple[str, ...]) -> Dataset:
    """Of each class but the first one training image, of that two; a test image of each."""
    labels = np.array([0, *range(len(classes))])
    images = np.zeros((len(labels), 2, 3, 1), np.uint8)
    train = Split(images, labels)
    return Dataset("small", classes, train, train.subset(slice(1, None)))


def test_a_data_set_is_shown_by_its_counts():
    assert repr(small(("a", "b"))) == (
        "Dataset 'small': 2 classes, images (2, 3, 1)\n"
        "  train: 3 images (a 2, b 1)\n"
        "  test: 2 images (a 1, b 1)"
    )


def test_of_many_classes_the_range_of_the_counts_is_shown():
    shown = repr(small(tuple(f"class {k}" for k in range(13))))
    assert "  train: 14 images (1 to 2 of a class)" in shown


def test_in_a_notebook_a_data_set_is_a_table_with_names_escaped():
    page = small(("<script>", "b"))._repr_html_()
    assert "<tr><td></td><td>train</td><td>test</td></tr>" in page
    assert "<tr><td>all</td><td>3</td><td>2</td></tr>" in page
    assert "<tr><td>&lt;script&gt;</td><td>2</td><td>1</td></tr>" in page
    assert "<script>" not in page


def test_a_table_of_more_than_a_hundred_classes_ends():
    page = small(tuple(f"class {k}" for k in range(101)))._repr_html_()
    assert "class 99" in page
    assert "class 100" not in page


def test_a_split_tells_its_size():
    assert repr(small(("a", "b")).train) == "Split(3 images of shape (2, 3, 1))"
