"""Images that stay bytes until a minibatch is asked for."""

import numpy as np
import pytest
from data.making import noise

from tinybar.data import Normalised, normalise
from tinybar.runtime import arrays

MEAN, STD = np.float32([0.4, 0.5, 0.45]), np.float32([0.2, 0.3, 0.25])


def test_any_index_gives_the_values_of_the_whole_bit_for_bit():
    """Those of one pass over all images in float32: times 1 / (scale std), minus mean / std."""
    images = noise(9, 5, 4, 3)
    lazy = Normalised(images, MEAN, STD, 255.0)
    expected = images.astype("f4") * (1 / (255.0 * STD)).astype("f4") - MEAN / STD
    assert np.array_equal(normalise(images, MEAN, STD, 255.0), expected)
    assert (len(lazy), lazy.shape) == (9, (9, 5, 4, 3))
    for index in (slice(2, 6), slice(5, 5), np.array([8, 0, 0])):
        assert lazy[index].dtype == np.float32
        assert np.array_equal(lazy[index], expected[index])


def test_the_images_are_not_copied():
    images = noise(3, 2, 2, 3)
    assert Normalised(images, MEAN, STD, 255.0).images is images


@pytest.mark.gpu
def test_on_the_device_it_is_what_it_is_on_the_host():
    arrays.use_device("gpu")
    images = noise(9, 5, 4, 3)
    there = Normalised(arrays.to_device(images), MEAN, STD, 255.0)[arrays.xp().arange(7)]
    assert arrays.array_module(there) is arrays.xp()
    assert np.array_equal(arrays.to_numpy(there), normalise(images[:7], MEAN, STD, 255.0))
