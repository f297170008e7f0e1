"""Where datasets come from: the embedded digits, and folders of images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .augmentation import NO_AUGMENTATION, Augmentation
from .dataset import Dataset, Split
from .images import IMAGE_SUFFIXES, ImageFile, read_images

NAMES = ("digits",)  # what `load` knows besides folders
EXPECTED = "train/CLASS/*.png and test/CLASS/*.png"


def load(name: str | os.PathLike[str], *, cache_dir: Path | None = None) -> Dataset:
    """The dataset of that name, or the one in that folder.

    name: "digits" (embedded), or the path of a folder that holds `train/CLASS/*.jpg` and
        `test/CLASS/*.jpg` (or .jpeg, .png). A folder that is called digits is `./digits`.
    cache_dir: where the decoded images of a folder are kept, and found again as long as no image
        file changes. The images then are a read-only memory map. None: no cache.

    The classes of a folder are sorted by name, and names that begin with a dot are ignored.
    Images must all be of one size, 8 bits per value, grey or RGB (one image in colour makes all of
    them RGB); transparency is dropped, EXIF rotation is not applied. Images of 28 pixels or more
    are augmented by default with a pad of 4 and flips.

    Raises ValueError, in one line, for an unknown name and for a folder or image at fault.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"a dataset's name must be a string or a path, got {name!r}")
    if name == "digits":
        return _load_digits()
    if os.path.isdir(name):  # False, where Path.is_dir raises: no permission, a name too long
        return _load_folder(Path(name), cache_dir)
    raise ValueError(
        f"unknown dataset {os.fspath(name)!r}: it is neither a known name ({', '.join(NAMES)}) "
        f"nor a folder that exists, with {EXPECTED}"
    )


def _load_digits() -> Dataset:
    """The 8x8 digits; data/README.md tells their origin and how they were split."""
    with np.load(_digits_path(), allow_pickle=False) as stored:
        images = stored["images"][..., None]
        labels = stored["labels"].astype(np.int64)
        train, test = (
            Split(images[stored[part]], labels[stored[part]]) for part in ("train", "test")
        )
    return Dataset("digits", tuple("0123456789"), train, test, scale=16.0)


def _digits_path() -> Path:
    """digits.npz: inside the package in an installed wheel, in data/ in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    candidates = package / "_data" / "digits.npz", package.parent / "data" / "digits.npz"
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"the embedded digits are missing: neither {candidates[0]} nor "
        f"{candidates[1]} exists; reinstall tinybar"
    )


def _load_folder(folder: Path, cache_dir: Path | None) -> Dataset:
    classes, train_files = _list_split(folder, "train")
    test_classes, test_files = _list_split(folder, "test")
    if classes != test_classes:
        differing = ", ".join(sorted(set(classes) ^ set(test_classes)))
        raise ValueError(
            f"train and test of {str(folder)!r} must have the same classes; "
            f"only one of them has {differing}"
        )
    # Both splits are decoded together, because one image in colour makes all of them RGB.
    files = train_files + test_files
    images = read_images(folder, files, cache_dir)
    labels = np.array([file.label for file in files], np.int64)
    n = len(train_files)
    return Dataset(
        folder.resolve().name,
        classes,
        Split(images[:n], labels[:n]),
        Split(images[n:], labels[n:]),
        Augmentation(4, True) if min(images.shape[1:3]) >= 28 else NO_AUGMENTATION,
    )


def _list_split(folder: Path, part: str) -> tuple[tuple[str, ...], list[ImageFile]]:
    """The class names and image files under folder/part, both sorted."""
    root = folder / part
    if not os.path.isdir(root):
        raise ValueError(f"{str(folder)!r} has no folder {part!r}: {EXPECTED} are expected")
    classes = tuple(sorted(entry.name for entry in _visible(root) if entry.is_dir()))
    if not classes:
        raise ValueError(f"{str(root)!r} has no class folders: one folder per class is expected")
    files: list[ImageFile] = []
    for label, name in enumerate(classes):
        found = [
            ImageFile(entry.path, label, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in _visible(root / name)
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file()
        ]
        if not found:
            raise ValueError(
                f"class folder {str(root / name)!r} has no images ({', '.join(IMAGE_SUFFIXES)})"
            )
        files += sorted(found)
    return classes, files


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise ValueError(f"cannot list folder {str(folder)!r}: {error.strerror}") from error
