"""Image files in folders: SPLIT/CLASS/NAME.jpg, .jpeg or .png, where SPLIT is train or test."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...runtime.files import FileError, reading

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
UNREAD_SUFFIXES = (
    ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".jxl", ".ppm", ".pgm",
)  # fmt: skip
SPLITS = ("train", "test")
LAYOUT = "train/CLASS/*.png and test/CLASS/*.png"
MISPLACED = "not directly in a class folder"


class ImageFile(NamedTuple):
    """An image file, and the class and split that it belongs to.

    path: inside an archive, the archive's path followed by the entry's name. size: in bytes.
    mtime_ns: time of the last modification. entry: index among the entries of an archive.
    """

    split: str
    class_name: str
    path: str
    size: int
    mtime_ns: int
    entry: int = 0


class Listing(NamedTuple):
    """What was found. passed_over: the number of images that are not read, by reason."""

    files: list[ImageFile]
    passed_over: Counter[str]


def list_images(folder: Path, splits: Sequence[str]) -> Listing:
    """All images of the splits, sorted by class and path within each.

    Names that begin with a dot are passed over. Raises FileError for a split or class that is
    missing or empty, and for a folder that cannot be read.
    """
    files: list[ImageFile] = []
    passed_over: Counter[str] = Counter()
    for split in splits:
        root = folder / split
        if not os.path.isdir(root):
            raise FileError(f"{str(folder)!r} has no folder {split!r}: expected {LAYOUT}")
        inside = _entries(root)
        passed_over += Counter(MISPLACED for entry in inside if _is_image(entry.name))
        folders = [entry for entry in inside if os.path.isdir(entry.path)]
        passed_over["hidden"] += sum(_count(entry) for entry in folders if entry.name[0] == ".")
        classes = sorted((entry for entry in folders if entry.name[0] != "."), key=lambda e: e.name)
        if not classes:
            raise FileError(f"{str(root)!r} has no class folders: expected one folder per class")
        for entry in classes:
            others: Counter[str] = Counter()
            images = sorted(_images(entry.name, entry.path, split, others))
            if not images:
                found = f"; it has {told(+others)}" if +others else ""
                raise FileError(
                    f"class folder {entry.path!r} has no images "
                    f"({', '.join(IMAGE_SUFFIXES)}){found}"
                )
            files += images
            passed_over += others
    return Listing(files, +passed_over)


def images_in(folder: Path) -> Listing:
    """The images in a folder and in the folders in it, sorted by class and path.

    The class of an image is the name of the folder that it is in. Names that begin with a dot are
    passed over. Raises FileError for a folder that cannot be read.
    """
    passed_over: Counter[str] = Counter()
    files = [*_images(folder.resolve().name, folder, "", passed_over)]
    del passed_over[MISPLACED]  # in the folders that come now
    for entry in filter(lambda entry: os.path.isdir(entry.path), _entries(folder)):
        if entry.name[0] == ".":
            passed_over["hidden"] += _count(entry)
        else:
            files += _images(entry.name, entry.path, "", passed_over)
    return Listing(sorted(files), +passed_over)


def _images(
    name: str, folder: os.PathLike[str] | str, split: str, others: Counter
) -> Iterator[ImageFile]:
    """The images of a class folder; those that are not read are counted in `others`."""
    for entry in _entries(folder):
        reason = unread(entry.name)
        if entry.is_dir(follow_symlinks=False):
            others[MISPLACED] += _count(entry)
        elif not (entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path)):
            others["broken links"] += _is_image(entry.name)
        elif reason is None:
            with reading(entry.path):
                stat = entry.stat()
            yield ImageFile(split, readable(name), entry.path, stat.st_size, stat.st_mtime_ns)
        elif reason:
            others[reason] += 1


def unread(name: str) -> str | None:
    """Why a file of that name is not read; None for an image that is, "" for what is no image."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in UNREAD_SUFFIXES:
        return suffix
    if suffix not in IMAGE_SUFFIXES or name.startswith("._"):  # "._": notes that macOS makes
        return ""
    return "hidden" if name.startswith(".") else None


def _is_image(name: str) -> bool:
    return unread(name) != ""


def _count(folder: os.DirEntry) -> int:
    """The number of images at any depth; links are not followed, so that there is no loop."""
    return sum(_is_image(name) for _, _, names in os.walk(folder.path) for name in names)


def _entries(folder: os.PathLike[str] | str) -> list[os.DirEntry[str]]:
    with reading(folder), os.scandir(folder) as entries:
        return list(entries)


def told(passed_over: Counter[str]) -> str:
    """The numbers and reasons in words: "2 hidden, 1 .webp"."""
    return ", ".join(f"{count} {reason}" for reason, count in passed_over.most_common())


def readable(name: str) -> str:
    """A file's name as text that every file and screen takes.

    In composed Unicode (NFC), because the same name is decomposed on a Mac; bytes that are not
    UTF-8 are escaped.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)
