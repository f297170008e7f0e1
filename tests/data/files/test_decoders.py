"""Decoding in processes: the same pixels and the same errors as in this one."""

import io
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from tinybar.data.files import decoders as module
from tinybar.data.files.decoders import Decoders
from tinybar.data.files.images import ImageFile, decode
from tinybar.data.files.pixels import Target

SHAPE = (5, 4, 3)


def png(seed: int, shape=SHAPE) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def several(monkeypatch):
    """Two processes, even for a few images."""
    monkeypatch.setattr(module, "MANY", 1)
    monkeypatch.setattr(module, "processors", lambda: 2)


def test_the_same_pixels_in_the_same_order(several):
    batches = [[(png(10 * b + k), "x") for k in range(b + 1)] for b in range(7)]
    expected = [[Target(SHAPE, "", False).pixels(*item) for item in batch] for batch in batches]
    with Decoders(Target(SHAPE, "", False), 28) as workers:
        assert all(isinstance(worker, module._Process) for worker in workers._workers)
        for _ in range(2):
            found = list(workers.decode(batches))
            assert [len(batch) for batch in found] == [len(batch) for batch in batches]
            for one, other in zip(chain(*found), chain(*expected), strict=True):
                assert np.array_equal(one, other)


def test_from_files_of_any_name(several, tmp_path):
    names = ["plain.png", "line\nfeed.png", "umläut.png", "bad-\udcff.png"]
    for k, name in enumerate(names):
        (tmp_path / name).write_bytes(png(k))
    files = [ImageFile(str(tmp_path / name), 0, 1, 0) for name in names]
    for k, image in enumerate(decode(files)):
        assert np.array_equal(image, Target(SHAPE, "", False).pixels(png(k), ""))


def test_colour_among_grey(several, tmp_path):
    for k, shape in enumerate([(5, 4), (5, 4), SHAPE, (5, 4)]):
        (tmp_path / f"{k}.png").write_bytes(png(k, shape))
    files = [ImageFile(str(tmp_path / f"{k}.png"), 0, 1, 0) for k in range(4)]
    assert decode(files).shape == (4, *SHAPE)
    assert decode(files[:2]).shape == (2, 5, 4, 1)


def test_the_first_at_fault_is_named(several, tmp_path):
    for k in range(300):
        (tmp_path / f"{k:03}.png").write_bytes(b"no image" if k in (131, 290) else png(0))
    files = [ImageFile(str(tmp_path / f"{k:03}.png"), 0, 1, 0) for k in range(300)]
    with pytest.raises(ValueError, match=r"131\.png' is not a readable JPEG or PNG file"):
        decode(files)


def test_a_decompression_bomb_is_one_in_a_process_too(several, tmp_path):
    (tmp_path / "0.png").write_bytes(png(0))
    Image.new("1", (20_000, 10_000)).save(tmp_path / "1.png")
    files = [ImageFile(str(tmp_path / f"{k}.png"), 0, 1, 0) for k in range(2)]
    with pytest.raises(ValueError, match="decompression bomb"):
        decode(files, 16)


def test_a_process_that_dies(several):
    with Decoders(Target(SHAPE, "", False), 2) as workers:
        for worker in workers._workers:
            worker.process.kill()
            worker.process.wait()
        with pytest.raises(RuntimeError, match="a process that decodes images has died"):
            list(workers.decode([[(png(0), "x")]]))


def test_none_is_left_behind(several):
    with Decoders(Target(SHAPE, "", False), 2) as workers:
        processes = [worker.process for worker in workers._workers]
    assert all(process.poll() is not None for process in processes)
