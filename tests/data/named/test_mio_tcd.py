"""MIO-TCD: its test split, and its image size."""

import numpy as np
from data.making import encoded, in_folder, refused
from PIL import Image

from tinybar.data import load


def test_a_tenth_of_every_class_is_the_test_split(tmp_path):
    contents = {
        f"train/{name}/{k}.jpg": encoded(Image.new("RGB", (40 + k, 30), (k, 0, 0)), "JPEG")
        for name in ("bus", "car")
        for k in range(20)
    }
    in_folder(tmp_path / "mio-tcd", contents)
    first, again = (load("mio-tcd", cache_dir=tmp_path) for _ in range(2))
    assert (first.image_shape, first.classes) == ((128, 128, 3), ("bus", "car"))
    assert (len(first.train), len(first.test)) == (36, 4)
    assert sorted(first.test.labels) == [0, 0, 1, 1]
    assert np.array_equal(first.test.images, again.test.images)
    assert load("mio-tcd", cache_dir=tmp_path, image_size=8).image_shape == (8, 8, 3)


def test_it_is_not_downloaded(tmp_path):
    refused("mio-tcd", "put the classification set of MIO-TCD", cache_dir=tmp_path)
