"""Random crops and flips, against a loop over images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import NO_AUGMENTATION, Augmentation


def distinct(n, height, width, channels):
    """Images in which every value occurs once, and none is zero."""
    return np.arange(1, n * height * width * channels + 1, dtype=np.float32).reshape(
        n, height, width, channels
    )


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    pad=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_image_is_one_of_its_own_crops(shape, pad, flip, seed):
    """That of a loop over images that makes the same draws: all offsets, then all flips."""
    images, rng = distinct(*shape), np.random.default_rng(seed)
    n, height, width, _ = shape
    tops, lefts = rng.integers(0, 2 * pad + 1, size=(2, n))
    flipped = rng.random(n) < 0.5 if flip else [False] * n
    used = np.random.default_rng(seed)
    augmented = Augmentation(pad, flip).apply(images, used)
    assert (augmented.shape, augmented.dtype) == (images.shape, images.dtype)
    assert np.array_equal(images, distinct(*shape))  # unchanged
    if pad or flip:
        assert used.bit_generator.state == rng.bit_generator.state
    for i in range(n):
        padded = np.pad(images[i], ((pad, pad), (pad, pad), (0, 0)))
        crop = padded[tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        assert np.array_equal(augmented[i], crop[:, ::-1] if flipped[i] else crop)


def test_every_crop_occurs_flipped_and_not():
    image = distinct(1, 3, 3, 1)
    many = Augmentation(1, True).apply(image.repeat(400, axis=0), np.random.default_rng(0))
    assert len({new.tobytes() for new in many}) == 3 * 3 * 2


def test_without_augmentation_nothing_is_drawn_or_copied():
    images, rng = distinct(2, 2, 2, 1), np.random.default_rng(0)
    before = rng.bit_generator.state
    assert NO_AUGMENTATION.apply(images, rng) is images
    assert rng.bit_generator.state == before


def test_errors():
    with pytest.raises(ValueError, match="pad must be at least 0, got -1"):
        Augmentation(-1)
    for pad in (1.0, True, "1"):
        with pytest.raises(TypeError, match="pad must be an integer, got"):
            Augmentation(pad)
    with pytest.raises(TypeError, match="flip must be True or False, got 1"):
        Augmentation(0, 1)
    with pytest.raises(ValueError, match=r"images must be \(N, H, W, C\), got shape \(2, 2, 1\)"):
        NO_AUGMENTATION.apply(np.zeros((2, 2, 1)), np.random.default_rng(0))


def test_in_words():
    words = [Augmentation(*parts).describe() for parts in ((4, True), (1, False), (0, True), ())]
    assert words == [
        "shifted by up to 4 pixels and mirrored", "shifted by up to 1 pixel", "mirrored",
        "not augmented",
    ]  # fmt: skip
