"""Decoding, in this process and in others: the same pixels and the same errors."""

from itertools import chain

import numpy as np
import pytest
from data.making import encoded, image_files, in_folder, noise
from PIL import Image

from tinybar.data.files import decoder_pool as module
from tinybar.data.files.decoder import Decoder, Fit
from tinybar.data.files.decoder_pool import DecoderPool
from tinybar.data.files.folders import ImageFile
from tinybar.data.files.images import decode

SHAPE = (5, 4, 3)
DECODER = Decoder(SHAPE, "", resize=False)
PNG = encoded(noise(*SHAPE))


@pytest.fixture(params=[1, 2])
def processes(request, monkeypatch):
    """Decoding in this process, or in two others even for a few images."""
    monkeypatch.setattr(module, "MIN_IMAGES", 1)
    monkeypatch.setattr(module, "processors", lambda: request.param)
    return request.param


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(module, "MIN_IMAGES", 1)
    monkeypatch.setattr(module, "processors", lambda: 2)
    with DecoderPool(DECODER, 28) as pool:
        yield pool


def test_pixels_come_in_the_order_of_the_batches(pool):
    images = [[noise(*SHAPE, seed=10 * b + k) for k in range(b + 1)] for b in range(7)]
    batches = [[(encoded(image), "x") for image in batch] for batch in images]
    assert len(pool.processes) == 2
    for _ in range(2):
        found = list(pool.decode(batches))
        assert [len(batch) for batch in found] == [len(batch) for batch in batches]
        for one, other in zip(chain(*found), chain(*images), strict=True):
            assert np.array_equal(one, other)


def test_a_process_that_dies(pool):
    for process in pool.processes:
        process.process.kill()
        process.process.wait()
    with pytest.raises(RuntimeError, match="a process that decodes images has died"):
        list(pool.decode([[(PNG, "x")]]))


def test_no_process_outlives_the_pool(pool):
    pool.__exit__()
    assert all(process.process.poll() is not None for process in pool.processes)


def test_files_of_any_name(processes, tmp_path):
    names = ["plain.png", "line\nfeed.png", "umläut.png", "bad-\udcff.png"]
    in_folder(tmp_path, {name: encoded(noise(*SHAPE, seed=k)) for k, name in enumerate(names)})
    files = [ImageFile("train", "a", str(tmp_path / name), 1, 0) for name in names]
    for k, image in enumerate(decode(files)):
        assert np.array_equal(image, noise(*SHAPE, seed=k))


def test_colour_among_grey(processes, tmp_path):
    grey = encoded(noise(5, 4))
    files = image_files(tmp_path, grey, grey, PNG, grey)
    assert decode(files).shape == (4, *SHAPE)
    assert decode(files[:2]).shape == (2, 5, 4, 1)


def test_the_first_of_several_damaged_images_is_named(processes, tmp_path):
    contents = [b"no image" if k in (131, 290) else PNG for k in range(300)]
    with pytest.raises(ValueError, match=r"131\.png' is not a readable JPEG or PNG file"):
        decode(image_files(tmp_path, *contents))


def test_a_decompression_bomb(processes, tmp_path):
    """20,000 x 10,000 pixels of one bit each, in a small file."""
    bomb = encoded(Image.new("1", (20_000, 10_000)))
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match=r"cannot open image .*001\.png.*decompression bomb"):
        decode(image_files(tmp_path, PNG, bomb), Fit(16, 16))
