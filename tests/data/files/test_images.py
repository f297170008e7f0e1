"""The kinds of image files, and the cache of decoded images."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tinybar.data import load
from tinybar.data.files import images as module
from tinybar.data.files.images import ImageFile, decode

RGB = np.random.default_rng(0).integers(0, 256, (4, 3, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def decoded(tmp_path, image: Image.Image, suffix="png") -> np.ndarray:
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    return decode([ImageFile(str(path), 0, path.stat().st_size, 0)])[0]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(GREY), GREY[..., None]),
        (Image.fromarray(GREY > 127), np.uint8(GREY > 127)[..., None] * 255),
        (Image.fromarray(np.dstack([GREY, GREY])), GREY[..., None]),  # LA: transparency dropped
        (Image.fromarray(np.dstack([RGB, GREY])), RGB),  # RGBA: likewise
        (Image.fromarray(RGB).quantize(256), RGB),  # P: at most 12 colours, all kept
    ],
    ids=["RGB", "L", "1", "LA", "RGBA", "P"],
)
def test_modes(tmp_path, image, expected):
    assert np.array_equal(decoded(tmp_path, image), expected)


def test_a_cmyk_jpeg_becomes_rgb(tmp_path):
    assert decoded(tmp_path, Image.fromarray(RGB).convert("CMYK"), "jpg").shape == (4, 3, 3)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(RGB).quantize(256)
    image.info["transparency"] = bytes(range(12))
    assert np.array_equal(decoded(tmp_path, image), RGB)


# --- the cache -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "test"):
        for label in "ab":
            path = tmp_path / "images" / part / label / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(RGB).save(path)
    return tmp_path / "images"


@pytest.fixture
def decodings(monkeypatch):
    """Grows by one whenever images are decoded."""
    calls = []

    def counted(files, *options):
        calls.append(len(files))
        return decode(files, *options)

    monkeypatch.setattr(module, "decode", counted)
    return calls


def cache_file(cache):
    (path,) = cache.iterdir()
    return path


def same(first, second):
    return np.array_equal(first.train.images, second.train.images) and np.array_equal(
        first.test.images, second.test.images
    )


def test_the_second_load_reads_the_map(folder, tmp_path, decodings):
    cache = tmp_path / "new" / "cache"
    first, second = load(folder, cache_dir=cache), load(folder, cache_dir=cache)
    assert decodings == [4]
    assert same(first, second)
    assert same(first, load(folder))
    assert not second.train.images.flags.writeable
    base = second.train.images
    while not isinstance(base, np.memmap):
        base = base.base
    assert re.fullmatch(r"images-[0-9a-f]{8}-[0-9a-f]{16}\.npy", cache_file(cache).name)


def test_a_changed_file_is_decoded_again(folder, tmp_path, decodings):
    load(folder, cache_dir=tmp_path / "cache")
    Image.fromarray(255 - RGB).save(folder / "test" / "b" / "0.png")
    data = load(folder, cache_dir=tmp_path / "cache")
    assert len(decodings) == 2
    assert np.array_equal(data.test.images[1], 255 - RGB)


@pytest.mark.parametrize("change", ["touch", "add", "rename", "move"])
def test_every_change_of_the_files_is_noticed(folder, tmp_path, decodings, change):
    load(folder, cache_dir=tmp_path / "cache")
    path = folder / "train" / "a" / "0.png"
    if change == "touch":
        os.utime(path, ns=(1, 1))
    elif change == "add":
        path.with_name("1.png").write_bytes(path.read_bytes())
    elif change == "rename":
        path.rename(path.with_name("1.png"))
    else:
        folder = folder.rename(tmp_path / "moved")
    load(folder, cache_dir=tmp_path / "cache")
    assert len(decodings) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(cut=st.integers(0, 271), garbage=st.binary(max_size=200))
def test_a_damaged_cache_is_decoded_again(folder, tmp_path, cut, garbage):
    load(folder, cache_dir=tmp_path / "cache")
    path = cache_file(tmp_path / "cache")
    whole = path.read_bytes()
    assert len(whole) == 128 + 4 * RGB.size
    for content in (whole[:cut], garbage, whole[:10] + garbage + whole[10 + len(garbage) :]):
        path.unlink()  # under its map, a file must not be cut
        path.write_bytes(content[: len(whole) - 1])
        assert same(load(folder, cache_dir=tmp_path / "cache"), load(folder))
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "other",
    [np.zeros((3, 4, 3, 3), np.uint8), np.zeros((4, 4, 3, 3)), np.zeros((4, 36), np.uint8)],
    ids=["count", "dtype", "axes"],
)
def test_another_array_in_the_cache_is_not_taken(folder, tmp_path, other):
    load(folder, cache_dir=tmp_path / "cache")
    path = cache_file(tmp_path / "cache")
    path.unlink()
    np.save(path, other)
    assert same(load(folder, cache_dir=tmp_path / "cache"), load(folder))


def test_no_temporary_file_is_left_behind(folder, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(module.np, "save", fail)
    with pytest.raises(ValueError, match=r"cannot keep decoded images in .*: no space left"):
        load(folder, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot keep decoded images in"):
        load(folder, cache_dir=tmp_path / "file" / "cache")


# --- images made to fit, and traps ---------------------------------------------------------------


def saved(tmp_path, *images: Image.Image) -> list[ImageFile]:
    paths = [tmp_path / f"{k}.png" for k in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    return [ImageFile(str(path), 0, path.stat().st_size, 0) for path in paths]


def test_images_of_any_size_are_made_to_fit(tmp_path):
    sizes = [(40, 20), (20, 40), (7, 9), (16, 16), (33, 16)]
    files = saved(tmp_path, *(Image.new("RGB", size, (10, 20, 30)) for size in sizes))
    images = decode(files, 16)
    assert images.shape == (5, 16, 16, 3)
    assert (images == (10, 20, 30)).all()


def test_the_centre_is_cut_out(tmp_path):
    """A bar of 8 columns in the middle of 24 is all that a square of 8 rows sees."""
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 200
    (image,) = decode(saved(tmp_path, Image.fromarray(pixels)), 8)
    assert (image == 200).all()


def test_an_image_of_that_size_is_left_alone(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    (image,) = decode(saved(tmp_path, Image.fromarray(pixels)), 9)
    assert np.array_equal(image, pixels)


def test_sizes_that_differ_name_the_option_that_helps(tmp_path):
    files = saved(tmp_path, Image.new("L", (4, 4)), Image.new("L", (4, 5)))
    with pytest.raises(ValueError, match=r"is 4x5, but .* is 4x4 .* --image-size makes them fit"):
        decode(files)


def test_a_decompression_bomb(tmp_path):
    """20,000 x 10,000 pixels of one bit each, in a small file."""
    files = saved(tmp_path, Image.new("L", (4, 4)), Image.new("1", (20_000, 10_000)))
    assert files[1].size < 100_000
    with pytest.raises(ValueError, match=r"cannot open image .*1.png.*decompression bomb"):
        decode(files, 16)


def test_no_cache_is_left_where_the_disk_is_full(folder, tmp_path):
    """A limit on the size of files stands for the disk, in a process of its own."""
    code = f"""
import resource, signal, sys
from tinybar.data import load
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    load({str(folder)!r}, cache_dir={str(tmp_path / "cache")!r})
except ValueError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot keep decoded images in" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_of_the_same_images_before_a_change_is_deleted(folder, tmp_path):
    load(folder, cache_dir=tmp_path / "cache")
    before = cache_file(tmp_path / "cache")
    os.utime(folder / "train" / "a" / "0.png", ns=(1, 1))
    load(folder, cache_dir=tmp_path / "cache")
    assert cache_file(tmp_path / "cache") != before


def test_another_size_is_another_cache(folder, tmp_path):
    whole = load(folder, cache_dir=tmp_path / "cache")
    small = load(folder, cache_dir=tmp_path / "cache", image_size=2)
    assert (whole.image_shape, small.image_shape) == ((4, 3, 3), (2, 2, 3))


# --- every place is filled, once -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "message"), [([0, 1, 1], "was read twice"), ([0, 2], "could not be found again")]
)
def test_contents_that_do_not_fit_the_files(tmp_path, places, message):
    """An array from `empty` must not keep what was in memory before."""
    path = tmp_path / "image.png"
    Image.fromarray(RGB).save(path)
    files = [ImageFile(f"{k}.png", 0, path.stat().st_size, 0) for k in range(3)]
    with pytest.raises(ValueError, match=rf"image '1\.png' {message}"):
        decode(files, contents=lambda: ((place, str(path)) for place in places))
