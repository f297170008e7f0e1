"""The modes of image files, and resizing and cropping."""

import numpy as np
import pytest
from data.making import encoded, image_files, noise
from PIL import Image

from tinybar.data.files.images import decode

RGB = noise(4, 3, 3)
GREY = RGB[..., 0]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(GREY), GREY[..., None]),
        (Image.fromarray(GREY > 127), np.uint8(GREY > 127)[..., None] * 255),
        (Image.fromarray(np.dstack([GREY, GREY])), GREY[..., None]),  # LA: transparency dropped
        (Image.fromarray(np.dstack([RGB, GREY])), RGB),  # RGBA: likewise
        (Image.fromarray(RGB).quantize(256), RGB),  # P: at most 12 colours, all preserved
    ],
    ids=["RGB", "L", "1", "LA", "RGBA", "P"],
)
def test_modes(tmp_path, image, expected):
    assert np.array_equal(decode(image_files(tmp_path, encoded(image)))[0], expected)


def test_a_cmyk_jpeg_becomes_rgb(tmp_path):
    content = encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG")
    assert decode(image_files(tmp_path, content)).shape == (1, 4, 3, 3)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(RGB).quantize(256)
    image.info["transparency"] = bytes(range(12))
    assert np.array_equal(decode(image_files(tmp_path, encoded(image)))[0], RGB)


def test_images_of_any_size_are_resized(tmp_path):
    sizes = [(40, 20), (20, 40), (7, 9), (16, 16), (33, 16)]
    contents = [encoded(Image.new("RGB", size, (10, 20, 30))) for size in sizes]
    images = decode(image_files(tmp_path, *contents), 16)
    assert images.shape == (5, 16, 16, 3)
    assert (images == (10, 20, 30)).all()


def test_the_centre_is_cropped(tmp_path):
    """A bar of 8 columns in the middle of 24 fills a square of 8 rows."""
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 200
    assert (decode(image_files(tmp_path, encoded(pixels)), 8) == 200).all()


def test_an_image_of_that_size_is_unchanged(tmp_path):
    pixels = noise(9, 9, 3)
    assert np.array_equal(decode(image_files(tmp_path, encoded(pixels)), 9)[0], pixels)
