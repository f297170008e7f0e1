"""The modes of image files, and resizing and cropping."""

import io
import subprocess
import sys

import numpy as np
import pytest
from data.making import encoded, image_files, noise
from PIL import Image

from tinybar.data.files.decoder import Fit
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
    images = decode(image_files(tmp_path, *contents), Fit(16, 16))
    assert images.shape == (5, 16, 16, 3)
    assert (images == (10, 20, 30)).all()


def test_the_centre_is_cropped(tmp_path):
    """A bar of 8 columns in the middle of 24 fills a square of 8 rows."""
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 200
    assert (decode(image_files(tmp_path, encoded(pixels)), Fit(8, 8)) == 200).all()


def test_an_image_of_that_size_is_unchanged(tmp_path):
    pixels = noise(9, 9, 3)
    assert np.array_equal(decode(image_files(tmp_path, encoded(pixels)), Fit(9, 9))[0], pixels)


def test_images_of_any_size_are_fitted_to_a_rectangle_and_its_colours(tmp_path):
    """As a network takes them that was trained on other images."""
    tall, wide, grey = noise(40, 20, 3), noise(9, 30, 3), noise(12, 16)
    files = image_files(tmp_path, *map(encoded, (tall, wide, grey)))
    assert decode(files, Fit(12, 16, 3)).shape == (3, 12, 16, 3)
    found = decode(files, Fit(12, 16, 1))
    assert found.shape == (3, 12, 16, 1)
    assert np.array_equal(found[2, ..., 0], grey)
    same = decode(image_files(tmp_path, encoded(np.dstack([grey] * 3))), Fit(12, 16, 1))
    assert np.array_equal(same[0, ..., 0], grey)  # grey, stored as RGB


def test_the_width_is_resized_before_the_height(tmp_path):
    """Of a tall image, where Pillow would begin with the height; pixels are rounded in between."""
    tall = Image.fromarray(noise(90, 40, 3))
    narrow = tall.resize((21, 90), Image.Resampling.BILINEAR)
    expected = np.asarray(narrow.resize((21, 47), Image.Resampling.BILINEAR))[13:34]
    assert np.array_equal(decode(image_files(tmp_path, encoded(tall)), Fit(21, 21))[0], expected)


def test_a_strip_is_cut_before_it_is_resized(tmp_path):
    """Resized whole, this file of 1 kB would take 3 GB."""
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from tinybar.data.files.decoder import Fit
from tinybar.data.files.folders import ImageFile
from tinybar.data.files.images import decode
files = [ImageFile("train", "a", path, 1, 0) for path in sys.argv[1:]]
assert (decode(files, Fit(64, 64)) == 200).all()
"""
    paths = [tmp_path / "tall.png", tmp_path / "wide.png"]
    for path, size in zip(paths, [(1, 500_000), (500_000, 1)], strict=True):
        Image.new("L", size, 200).save(path)
    subprocess.run([sys.executable, "-c", code, *paths], check=True)


# --- orientation ---------------------------------------------------------------------------------


def turned(pixels: np.ndarray, orientation: int, kind="JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=exif, quality=100)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(10))
def test_photographs_are_turned_as_they_say(tmp_path, kind, orientation):
    """By the definition of EXIF: where row 0 and column 0 of the file are on the photograph."""
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 250  # the half of the file's first columns
    pixels[:4] //= 2  # its first rows are darker
    row, column = {
        1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "lt", 6: "rt", 7: "rb", 8: "lb",
    }.get(orientation, "tl")  # fmt: skip
    (found,) = decode(image_files(tmp_path, turned(pixels, orientation, kind)))[..., 0]
    sides = {"t": found[0], "b": found[-1], "l": found[:, 0], "r": found[:, -1]}
    opposite = {"t": "b", "b": "t", "l": "r", "r": "l"}
    assert found.shape == ((8, 16) if row in "tb" else (16, 8))
    assert sides[row].max() < 150 < sides[opposite[row]].max()
    assert sides[column].min() > 100 > sides[opposite[column]].max()


def test_the_size_is_that_of_the_photograph_as_it_is_seen(tmp_path):
    files = image_files(tmp_path, turned(noise(4, 6), 6), encoded(noise(6, 4)))
    assert decode(files).shape == (2, 6, 4, 1)


def test_damaged_exif_is_no_reason_to_refuse_a_whole_image(tmp_path):
    content = turned(noise(8, 8), 6).replace(b"Exif\0\0", b"Exif\0\0garbage", 1)
    assert decode(image_files(tmp_path, content)).shape == (1, 8, 8, 1)
