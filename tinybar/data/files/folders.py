"""Folders of images: PART/CLASS/*.jpg, .jpeg or .png, where a part is train or test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .images import ImageFile
from .pixels import IMAGE_SUFFIXES

EXPECTED = "train/CLASS/*.png and test/CLASS/*.png"


def list_images(folder: Path, parts: Sequence[str]) -> list[tuple[str, str, ImageFile]]:
    """(part, class, file) of every image, sorted; labels are still 0.

    Names that begin with a dot are ignored. ValueError, in one line, for a part or class that is
    missing or empty.
    """
    found = []
    for part in parts:
        root = folder / part
        if not os.path.isdir(root):
            raise ValueError(f"{str(folder)!r} has no folder {part!r}: {EXPECTED} are expected")
        classes = sorted(entry.name for entry in _visible(root) if entry.is_dir())
        if not classes:
            raise ValueError(
                f"{str(root)!r} has no class folders: one folder per class is expected"
            )
        for name in classes:
            files = sorted(_image_files(root / name))
            if not files:
                raise ValueError(
                    f"class folder {str(root / name)!r} has no images ({', '.join(IMAGE_SUFFIXES)})"
                )
            found += [(part, name, file) for file in files]
    return found


def _image_files(folder: Path) -> list[ImageFile]:
    return [
        ImageFile(entry.path, 0, (stat := entry.stat()).st_size, stat.st_mtime_ns)
        for entry in _visible(folder)
        if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file()
    ]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise ValueError(f"cannot list folder {str(folder)!r}: {error.strerror}") from error
