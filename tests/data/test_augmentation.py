"""Random crops and mirror images, against a plain loop over images."""

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


def crops(image, pad, flip):
    """Every image that the augmentation may make of this one, (H, W, C)."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[top : top + height, left : left + width]
            yield from (crop, crop[:, ::-1]) if flip else (crop,)


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    pad=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_image_is_one_of_its_own_crops(shape, pad, flip, seed):
    images = distinct(*shape)
    before = images.copy()
    augmented = Augmentation(pad, flip).apply(images, np.random.default_rng(seed))
    assert augmented.shape == images.shape
    assert augmented.dtype == images.dtype
    assert np.array_equal(images, before)
    for image, new in zip(images, augmented, strict=True):
        assert any(np.array_equal(new, crop) for crop in crops(image, pad, flip))
        assert np.isin(new, np.append(image, 0)).all()


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    pad=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_draws_written_out(shape, pad, flip, seed):
    """Image by image, with the draws in their order: a seed means the same images for good."""
    images, rng = distinct(*shape), np.random.default_rng(seed)
    n, height, width, _ = shape
    tops, lefts = rng.integers(0, 2 * pad + 1, size=(2, n))
    mirrored = rng.random(n) < 0.5 if flip else [False] * n
    used = np.random.default_rng(seed)
    augmented = Augmentation(pad, flip).apply(images, used)
    if pad or flip:
        assert used.bit_generator.state == rng.bit_generator.state
    for i in range(n):
        padded = np.pad(images[i], ((pad, pad), (pad, pad), (0, 0)))
        crop = padded[tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        assert np.array_equal(augmented[i], crop[:, ::-1] if mirrored[i] else crop)


@given(pad=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_the_generator_alone_decides(pad, flip, seed):
    images = distinct(5, 4, 4, 2)
    augmentation = Augmentation(pad, flip)
    first, second = (augmentation.apply(images, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, second)


def test_every_crop_and_both_directions_occur():
    image = distinct(1, 3, 3, 1)
    many = Augmentation(1, True).apply(image.repeat(400, axis=0), np.random.default_rng(0))
    possible = {crop.tobytes() for crop in crops(image[0], 1, True)}
    assert {new.tobytes() for new in many} == possible
    assert len(possible) == 18


def test_half_of_the_images_are_mirrored():
    images = distinct(2000, 1, 2, 1)
    mirrored = Augmentation(flip=True).apply(images, np.random.default_rng(0))[:, 0, 0, 0]
    share = (mirrored != images[:, 0, 0, 0]).mean()
    assert 0.45 < share < 0.55


def test_padding_is_zero():
    images = np.full((300, 2, 2, 1), 7, np.float32)
    augmented = Augmentation(pad=1).apply(images, np.random.default_rng(0))
    assert set(np.unique(augmented)) == {0, 7}


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
