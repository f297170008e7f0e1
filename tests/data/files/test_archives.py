"""Images in zip and tar archives: the same as from a folder; hostile archives are refused."""

import io
import tarfile
import zipfile

import pytest
from data.making import encoded, in_folder, in_tar, in_zip, noise, refused, same, tree

from tinybar.data import load

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
    with pytest.raises(ValueError, match=r"truncated or damaged|unknown dataset") as caught:
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
