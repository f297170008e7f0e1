"""What an epoch's minibatches hold, and in which order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import Augmentation, batches, in_order


def items(n):
    """n images that know their own index, as their labels do."""
    labels = np.arange(n)
    images = np.broadcast_to(labels[:, None, None, None], (n, 2, 2, 1)).astype(np.float32)
    return images, labels


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_covers_the_items_once_in_full_batches(n, size, seed):
    images, labels = items(n)
    epoch = list(batches(images, labels, size, np.random.default_rng(seed)))
    width = min(size, n)
    assert len(epoch) == n // width
    for x, y in epoch:
        assert x.shape == (width, 2, 2, 1)
        assert np.array_equal(x[:, 0, 0, 0], y)  # images keep their labels
    seen = np.concatenate([y for _, y in epoch])
    assert len(set(seen)) == len(seen) == n - n % width


def test_epochs_are_shuffled_differently():
    images, labels = items(50)
    rng = np.random.default_rng(0)
    first, second = (np.concatenate([y for _, y in batches(images, labels, 10, rng)]) for _ in "ab")
    assert not np.array_equal(first, labels)
    assert not np.array_equal(first, second)


def test_the_left_out_items_differ_from_epoch_to_epoch():
    images, labels = items(7)
    rng = np.random.default_rng(0)
    kept = {frozenset(y) for _ in range(30) for _, y in batches(images, labels, 6, rng)}
    assert len(kept) > 3


@given(seed=st.integers(0, 2**32 - 1))
def test_the_generator_alone_decides(seed):
    images, labels = items(12)
    augmentation = Augmentation(1, True)
    epochs = [
        list(batches(images, labels, 4, np.random.default_rng(seed), augmentation)) for _ in "ab"
    ]
    for (x1, y1), (x2, y2) in zip(*epochs, strict=True):
        assert np.array_equal(x1, x2)
        assert np.array_equal(y1, y2)


def test_the_order_is_drawn_at_the_call():
    images, labels = items(20)
    rng = np.random.default_rng(5)
    epoch = batches(images, labels, 5, rng)
    assert np.array_equal(rng.random(3), _after_permutation(5, 20).random(3))
    expected = np.random.default_rng(5).permutation(20)
    assert np.array_equal(np.concatenate([y for _, y in epoch]), expected)


def _after_permutation(seed, n):
    rng = np.random.default_rng(seed)
    rng.permutation(n)
    return rng


def test_batches_are_augmented():
    images, labels = np.ones((40, 4, 4, 1), np.float32), np.arange(40)
    rng = np.random.default_rng(0)
    assert any((x == 0).any() for x, _ in batches(images, labels, 8, rng, Augmentation(1)))


@given(n=st.integers(1, 30), size=st.integers(1, 40))
def test_in_order_gives_everything_as_stored(n, size):
    images, labels = items(n)
    parts = list(in_order(images, labels, size))
    assert np.array_equal(np.concatenate([x for x, _ in parts]), images)
    assert np.array_equal(np.concatenate([y for _, y in parts]), labels)
    assert all(len(x) == size for x, _ in parts[:-1])
    assert all(np.shares_memory(x, images) for x, _ in parts)


def shuffled(images, labels, size):
    return batches(images, labels, size, np.random.default_rng(0))


@pytest.mark.parametrize("function", [shuffled, in_order])
def test_errors_are_raised_at_the_call(function):
    images, labels = items(4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        function(images, labels, 0)
    with pytest.raises(TypeError, match=r"batch_size must be an integer, got 2\.0"):
        function(images, labels, 2.0)
    with pytest.raises(TypeError, match="images must be float32"):
        function(images.astype(np.uint8), labels, 2)
    with pytest.raises(ValueError, match=r"images must be .*, got shape \(4, 2, 2\)"):
        function(images[..., 0], labels, 2)
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), one per image, got \(3"):
        function(images, labels[:3], 2)
    with pytest.raises(ValueError, match="there are no images to make batches of"):
        function(images[:0], labels[:0], 2)
