"""The cache of decoded images: when it is valid, and what becomes of a damaged one."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from data.making import encoded, in_folder, in_zip, noise, refused, same, tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybar.data import load
from tinybar.data.files import cache as module
from tinybar.data.files.images import decode

SHAPE, COUNT = (4, 3, 3), 4


@pytest.fixture
def folder(tmp_path):
    return in_folder(tmp_path / "images", tree(SHAPE, per_class=1))


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


def test_the_second_load_maps_the_cache(folder, tmp_path, decodings):
    cache = tmp_path / "new" / "cache"
    first, second = load(folder, cache_dir=cache), load(folder, cache_dir=cache)
    assert decodings == [COUNT]
    assert same(first, second)
    assert same(first, load(folder))
    assert not second.train.images.flags.writeable
    base = second.train.images
    while not isinstance(base, np.memmap):
        base = base.base
    assert re.fullmatch(r"images-[0-9a-f]{8}-nxnxn-[0-9a-f]{16}\.npy", cache_file(cache).name)


@pytest.mark.parametrize("change", ["content", "touch", "add", "rename", "image_size"])
def test_every_change_of_files_or_size_decodes_again(folder, tmp_path, decodings, change):
    load(folder, cache_dir=tmp_path / "cache")
    before = cache_file(tmp_path / "cache")
    path = folder / "train" / "cat" / "0.png"
    if change == "content":
        path.write_bytes(encoded(noise(*SHAPE, seed=9)))
    elif change == "touch":
        os.utime(path, ns=(1, 1))
    elif change == "add":
        path.with_name("1.png").write_bytes(path.read_bytes())
    elif change == "rename":
        path.rename(path.with_name("1.png"))
    size = 2 if change == "image_size" else None
    data = load(folder, cache_dir=tmp_path / "cache", image_size=size)
    assert len(decodings) == 2
    assert same(data, load(folder, image_size=size))
    assert before.exists() == (change == "image_size")  # outdated files are deleted, no others


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_files_that_were_moved_are_not_decoded_again(folder, tmp_path, decodings, kind):
    path = folder if kind == "folder" else in_zip(tmp_path / "set.zip", tree(SHAPE, per_class=1))
    first = load(path, cache_dir=tmp_path / "cache")
    moved = load(path.rename(tmp_path / "moved"), cache_dir=tmp_path / "cache")
    assert same(first, moved)
    assert decodings == [COUNT]


def test_caches_of_two_image_sizes_live_side_by_side(folder, tmp_path, decodings):
    for size in (2, 3, 2, None, 3, None):
        load(folder, cache_dir=tmp_path / "cache", image_size=size)
    assert len(decodings) == 3


def test_a_flipped_bit_is_noticed(folder, tmp_path, decodings):
    expected = load(folder, cache_dir=tmp_path / "cache")
    path = cache_file(tmp_path / "cache")
    whole = path.read_bytes()
    for place in (60, 128, len(whole) - 33, len(whole) - 1):  # header, pixels, checksum
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.unlink()
        path.write_bytes(damaged)
        assert same(load(folder, cache_dir=tmp_path / "cache"), expected)
        assert path.read_bytes() == whole
    assert len(decodings) == 5


def test_images_are_written_one_by_one(folder, tmp_path, monkeypatch):
    """Not first collected in an array: they may be more than the memory holds."""
    monkeypatch.setattr(np, "empty", None)
    first = load(folder, cache_dir=tmp_path / "cache")
    monkeypatch.undo()
    assert same(first, load(folder))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(cut=st.integers(0, 271), garbage=st.binary(max_size=200))
def test_a_damaged_file_is_made_again(folder, tmp_path, cut, garbage):
    load(folder, cache_dir=tmp_path / "cache")
    path = cache_file(tmp_path / "cache")
    whole = path.read_bytes()
    assert len(whole) == 128 + COUNT * np.prod(SHAPE) + 32
    for content in (whole[:cut], garbage, whole[:10] + garbage + whole[10 + len(garbage) :]):
        path.unlink()  # a mapped file must not be truncated
        path.write_bytes(content[: len(whole) - 1])
        assert same(load(folder, cache_dir=tmp_path / "cache"), load(folder))
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "other",
    [np.zeros((3, *SHAPE), np.uint8), np.zeros((COUNT, *SHAPE)), np.zeros((COUNT, 36), np.uint8)],
    ids=["count", "dtype", "axes"],
)
def test_a_file_with_another_array_is_made_again(folder, tmp_path, other):
    load(folder, cache_dir=tmp_path / "cache")
    path = cache_file(tmp_path / "cache")
    path.unlink()
    np.save(path, other)
    assert same(load(folder, cache_dir=tmp_path / "cache"), load(folder))


def test_a_full_disk_leaves_no_file(folder, tmp_path):
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
    assert "cannot cache images in" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").write_text("")
    refused(folder, "cannot cache images in", cache_dir=tmp_path / "file" / "cache")


def test_a_folder_with_the_longest_of_names(tmp_path):
    path = in_folder(tmp_path / ("\u20ac" * 85), tree(SHAPE, per_class=1))
    assert same(load(path, cache_dir=tmp_path / "cache"), load(path))


def test_what_a_killed_process_left_is_removed_a_day_later(folder, tmp_path):
    """And nothing else: the folder may be anyone's."""
    cache = tmp_path / "cache"
    load(folder, cache_dir=cache)
    name = cache_file(cache).name
    begun = [cache / f".{name}.98.tmp", cache / f".{name}.99.tmp", cache / ".theirs.npy.1.tmp"]
    for path in begun:
        path.touch()
    for path in begun[1:]:
        os.utime(path, (1, 1))
    (folder / "train" / "cat" / "new.png").write_bytes(encoded(noise(*SHAPE)))
    load(folder, cache_dir=cache)
    assert [path.exists() for path in begun] == [True, False, True]
