"""Image files in folders: SPLIT/CLASS/NAME.jpg, .jpeg or .png, where SPLIT is train or test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LAYOUT = "train/CLASS/*.png and test/CLASS/*.png"


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


def list_images(folder: Path, splits: Sequence[str]) -> list[ImageFile]:
    """All images of the splits, sorted by class and path within each.

    Names that begin with a dot are ignored. Raises ValueError for a split or class that is missing
    or empty, and for a folder that cannot be read.
    """
    files = []
    for split in splits:
        root = folder / split
        if not os.path.isdir(root):
            raise ValueError(f"{str(folder)!r} has no folder {split!r}: expected {LAYOUT}")
        classes = sorted(entry.name for entry in _visible(root) if entry.is_dir())
        if not classes:
            raise ValueError(f"{str(root)!r} has no class folders: expected one folder per class")
        for class_name in classes:
            images = sorted(_images(root / class_name, split, class_name))
            if not images:
                raise ValueError(
                    f"class folder {str(root / class_name)!r} has no images "
                    f"({', '.join(IMAGE_SUFFIXES)})"
                )
            files += images
    return files


def _images(folder: Path, split: str, class_name: str) -> list[ImageFile]:
    return [
        ImageFile(split, class_name, entry.path, (stat := entry.stat()).st_size, stat.st_mtime_ns)
        for entry in _visible(folder)
        if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file()
    ]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise ValueError(f"cannot list folder {str(folder)!r}: {error.strerror}") from error
