"""Images in zip and tar archives: the same as from a folder; hostile archives are refused."""

import gzip
import io
import struct
import tarfile
import zipfile

import pytest
from data.making import (
    encoded,
    flipped,
    in_folder,
    in_tar,
    in_zip,
    noise,
    outcome_of,
    peak_of,
    refused,
    same,
    tree,
)

from tinybar.data import load
from tinybar.data.files.archives import entries
from tinybar.runtime.files import FileError

MAKE = {
    "set.tar": lambda path, contents: in_tar(path, contents, "w"),
    "set.tar.gz": in_tar,
    "set.tar.xz": lambda path, contents: in_tar(path, contents, "w:xz"),
    "set.zip": in_zip,
}


def append_to_tar(path, name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    with tarfile.open(path, "a") as archive:
        archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("name", sorted(MAKE))
@pytest.mark.parametrize("prefix", ["", "inside/"])
def test_the_same_as_from_the_folder(tmp_path, name, prefix):
    ignored = {"README.md": b"no image", "train/cat/.hidden.png": b"", "val/emu/0.png": b"no image"}
    contents = dict(reversed(tree().items())) | ignored  # an archive may have any order
    path = MAKE[name](tmp_path / name, {prefix + name: c for name, c in contents.items()})
    expected = load(in_folder(tmp_path / "folder", tree()))
    assert same(load(path), expected)
    for _ in range(2):  # decoded, and from the cache
        assert same(load(path, cache_dir=tmp_path / "cache"), expected)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"state": 1}', b'{"images": [[1]], "state": 2}'])
def test_a_damaged_list_in_the_cache_is_made_again(tmp_path, content):
    path = in_zip(tmp_path / "set.zip", tree())
    expected = load(path, cache_dir=tmp_path / "cache")
    (cached,) = (tmp_path / "cache").glob("set.zip-*.json")
    whole = cached.read_bytes()
    cached.write_bytes(content)
    assert same(load(path, cache_dir=tmp_path / "cache"), expected)
    assert cached.read_bytes() == whole


@pytest.mark.parametrize("name", ["set.tar", "set.zip"])
def test_the_last_of_several_entries_with_one_name_counts(tmp_path, name):
    """As in `tar x` and `unzip`; the names may be spelt differently."""
    path = MAKE[name](tmp_path / name, tree() | {"train/cat/0.png": b"no image"})
    last = encoded(noise(6, 5, 3, seed=99))
    if name.endswith(".tar"):
        append_to_tar(path, "./train//cat/0.png", last)
    else:
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("train/cat/0.png", last)
    expected = load(in_folder(tmp_path / "folder", tree() | {"train/cat/0.png": last}))
    for _ in range(2):
        assert same(load(path, cache_dir=tmp_path / "cache"), expected)


@pytest.mark.parametrize("name", ["set.tar.gz", "set.zip"])
@pytest.mark.parametrize("entry", ["../train/a/9.png", "train/../../a/b/9.png", "/train/a/9.png"])
def test_entries_outside_the_archive(tmp_path, name, entry):
    path = MAKE[name](tmp_path / name, tree() | {entry: encoded(noise(6, 5, 3))})
    refused(path, "points outside the archive", cache_dir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == [path]


def test_links_are_not_followed(tmp_path):
    path = in_tar(tmp_path / "set.tar", tree(), "w")
    append_to_tar(path, "train/cat/9.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    refused(path, "'train/cat/9.png' is a link")
    path = in_zip(tmp_path / "set.zip", tree())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("train/cat/9.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refused(path, "'train/cat/9.png' is a link")


def test_an_entry_that_decompresses_to_more_than_an_image(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/cat/0.png", bytes(100 << 20))
    assert path.stat().st_size < 200_000
    refused(path, "'train/cat/0.png' has 104,857,600 bytes, at most 67,108,864 allowed")


@pytest.mark.parametrize("name", sorted(MAKE))
def test_a_truncated_archive(tmp_path, name):
    path = MAKE[name](tmp_path / name, tree())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"truncated or damaged|no zip or tar archive") as caught:
        load(path, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"README.md": b""}, "has no images: expected train/CLASS/*.png and test/CLASS/*.png"),
        ({"val/cat/0.png": encoded(noise(6, 5, 3))}, "has no images: expected train/CLASS/*.png"),
        (tree() | {"train/cat/9.jpg": b""}, "9.jpg' is empty (0 bytes)"),
        (tree() | {"train/emu/0.png": encoded(noise(6, 5, 3))}, "only one of them has emu"),
    ],
)
def test_what_is_refused(tmp_path, contents, message):
    refused(in_tar(tmp_path / "set.tar", contents), message)


@pytest.mark.parametrize("name", sorted(MAKE))
def test_flipped_bits(tmp_path, name):
    """The images are the same, or one line names the archive."""
    path = MAKE[name](tmp_path / name, tree())
    whole, expected = path.read_bytes(), load(path)
    outcomes = [outcome_of(path, content, load) for content in flipped(whole, 60)]
    assert all(outcome is None or same(outcome, expected) for outcome in outcomes)
    assert outcomes.count(None) > 5


def test_a_flipped_bit_in_a_compressed_tar_is_noticed_by_its_checksum(tmp_path):
    """Stored without compression, as gzip does with noise: the stream has no other redundancy."""
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        info = tarfile.TarInfo("pixels")
        info.size = 4000
        archive.addfile(info, io.BytesIO(bytes(4000)))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"cifar\.tar\.gz is truncated or damaged: CRC"):
        [entry.read() for entry in entries(path)]


# --- what an archive announces -------------------------------------------------------------------


def test_a_zip_that_lies_about_a_size(tmp_path):
    """1,000 bytes are announced; 64 MB are there."""
    path, actual = tmp_path / "set.zip", 64 << 20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in (tree() | {"train/cat/0.png": bytes(actual)}).items():
            archive.writestr(name, content)
    size = struct.pack("<I", actual)
    assert path.read_bytes().count(size) == 2  # before the entry, and in the directory
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 1000)))
    assert peak_of(lambda: load(path)) < 4 << 20
    refused(path, "set.zip is truncated or damaged: ")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_that_cannot_be_bounded(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", method) as archive:
        archive.writestr("train/cat/0.png", bytes(1000))
    refused(tmp_path / "set.zip", "set.zip: entry 'train/cat/0.png' is not stored or deflated")


@pytest.mark.parametrize("files_before", [0, 1])
def test_a_tar_that_announces_a_gigabyte_of_comments(tmp_path, files_before):
    info = tarfile.TarInfo("comment")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    first = tarfile.TarInfo("train/cat/0.png").tobuf() * files_before
    path = in_tar(tmp_path / "set.tar.gz", tree())
    path.write_bytes(gzip.compress(first + info.tobuf() + gzip.decompress(path.read_bytes())))
    assert peak_of(lambda: load(path)) < 4 << 20
    refused(path, "announces 1,073,741,824 bytes" if files_before else "is no zip or tar archive")


# --- which images are meant ----------------------------------------------------------------------


def test_an_archive_with_two_data_sets(tmp_path):
    """They would be mixed; in the original, only one of them was meant."""
    both = {f"{top}/{name}": c for top in ("old", "new/set") for name, c in tree().items()}
    refused(
        in_zip(tmp_path / "set.zip", both), "holds several data sets: one in 'new/set', one in "
    )


def test_a_list_in_the_cache_that_was_changed_is_made_again(tmp_path):
    """Two entries swapped would be two images with each other's labels."""
    path = in_zip(tmp_path / "set.zip", tree())
    expected = load(path, cache_dir=tmp_path / "cache")
    (listed,) = (tmp_path / "cache").glob("*.json")
    (decoded,) = (tmp_path / "cache").glob("*.npy")
    text = listed.read_text()
    swapped = text.replace(", 0, null]", ", 9, null]").replace(", 3, null]", ", 0, null]")
    listed.write_text(swapped.replace(", 9, null]", ", 3, null]"))
    assert listed.read_text() != text
    decoded.unlink()
    assert same(load(path, cache_dir=tmp_path / "cache"), expected)
    assert listed.read_text() == text
