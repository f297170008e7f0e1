"""Images inside zip and tar archives: the same as from the folder, and traps in one line."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from tinybar.data import load
from tinybar.data.files.archives import list_images

RNG = np.random.default_rng


def png(shape=(6, 5, 3), seed=0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RNG(seed).integers(0, 256, shape, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def members(prefix="") -> dict[str, bytes]:
    folders = [f"{part}/{label}" for part in ("train", "test") for label in "ab"]
    names = [f"{folder}/{k}.png" for folder in folders for k in (0, 1)]
    return {prefix + name: png(seed=k) for k, name in enumerate(names)}


def tar(path, contents, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def in_folder(path, contents):
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


MAKE = {
    "set.tar": lambda path, contents: tar(path, contents, "w"),
    "set.tar.gz": tar,
    "set.tar.xz": lambda path, contents: tar(path, contents, "w:xz"),
    "set.zip": zipped,
}


@pytest.mark.parametrize("name", sorted(MAKE))
@pytest.mark.parametrize("prefix", ["", "inside/"])
def test_the_same_as_from_the_folder(tmp_path, name, prefix):
    contents = dict(reversed(members(prefix).items()))  # the order in an archive is any
    contents[f"{prefix}README.md"] = b"not an image"
    contents[f"{prefix}train/a/.hidden.png"] = b""
    path = MAKE[name](tmp_path / name, contents)
    expected = load(in_folder(tmp_path / "folder", members()))
    for _ in range(2):  # decoded, and from the cache
        found = load(path, cache_dir=tmp_path / "cache")
        assert found.classes == expected.classes == ("a", "b")
        for part in ("train", "test"):
            one, other = getattr(found, part), getattr(expected, part)
            assert np.array_equal(one.images, other.images)
            assert np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["set.tar", "set.zip"])
def test_of_several_entries_of_one_name_the_last_is_the_file(tmp_path, name):
    """As `tar x` and `unzip` have it; the names may be spelt differently."""
    path = MAKE[name](tmp_path / name, members() | {"train/a/0.png": b"not an image"})
    last = png(seed=99)
    if name.endswith(".tar"):
        with tarfile.open(path, "a") as archive:
            info = tarfile.TarInfo("./train//a/0.png")
            info.size = len(last)
            archive.addfile(info, io.BytesIO(last))
    else:
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("train/a/0.png", last)
    expected = load(in_folder(tmp_path / "folder", members() | {"train/a/0.png": last}))
    for _ in range(2):
        found = load(path, cache_dir=tmp_path / "cache")
        assert np.array_equal(found.train.images, expected.train.images)
        assert np.array_equal(found.train.labels, expected.train.labels)


def refused(path, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        load(path, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["set.tar.gz", "set.zip"])
@pytest.mark.parametrize("member", ["../train/a/9.png", "train/../../a/b/9.png", "/train/a/9.png"])
def test_members_outside_of_it(tmp_path, name, member):
    path = MAKE[name](tmp_path / name, members() | {member: png()})
    refused(path, "points outside of the archive", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


def test_links_are_not_followed(tmp_path):
    path = tar(tmp_path / "set.tar", members(), "w")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("train/a/9.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    refused(path, "is a link")
    path = zipped(tmp_path / "set.zip", members())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("train/a/9.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refused(path, "is a link")


def test_a_member_that_unpacks_to_more_than_an_image(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/a/0.png", bytes(100 << 20))
    assert path.stat().st_size < 200_000
    refused(path, "has 104,857,600 bytes, which is too large")


@pytest.mark.parametrize("name", sorted(MAKE))
def test_cut_short(tmp_path, name):
    path = MAKE[name](tmp_path / name, members())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "truncated or damaged|neither a known name", cache_dir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == [path]


def test_without_images(tmp_path):
    refused(tar(tmp_path / "set.tar", {"README.md": b""}), "holds no images")


def test_an_empty_member(tmp_path):
    contents = members() | {"train/a/9.jpg": b""}
    refused(tar(tmp_path / "set.tar", contents), r"9\.jpg' is empty \(0 bytes\)")


def test_classes_must_agree(tmp_path):
    contents = members() | {"train/c/0.png": png()}
    refused(tar(tmp_path / "set.tar", contents), "only one of them has c")


def test_the_list_is_sorted(tmp_path):
    listed = list_images(tar(tmp_path / "set.tar", members("x/")))
    assert listed == sorted(listed)
    assert len(listed) == 8
