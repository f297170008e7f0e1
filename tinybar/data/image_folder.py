"""Data sets made of image files, in a folder or an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .augmentation import NO_AUGMENTATION, STANDARD
from .dataset import Dataset, Split
from .files import archives, folders
from .files.cache import load_images
from .files.folders import LAYOUT, ImageFile

SPLITS = ("train", "test")
Reader = Callable[[Path, list[ImageFile]], Iterable[tuple[int, bytes]]]  # as archives.read_images


class ImageOptions(NamedTuple):
    """How image files are read.

    cache_dir: where decoded images are cached; None: nowhere. image_size: side of the square that
    every image is resized and cropped to; None: all images must have one size.
    """

    cache_dir: Path | None = None
    image_size: int | None = None


def from_folder(path: Path, options: ImageOptions) -> Dataset:
    """The data set in path/train/CLASS and path/test/CLASS. Raises ValueError as `load`."""
    return from_files(path, folders.list_images(path, SPLITS), options)


def from_archive(path: Path, options: ImageOptions) -> Dataset:
    """The data set in a zip or tar archive of such a folder. Raises ValueError as `load`."""
    listed = archives.list_images(path, options.cache_dir)
    files = [file for file in listed if file.split in SPLITS]
    if not files:
        raise ValueError(f"the archive {path} has no images: expected {LAYOUT}")
    return from_files(path, files, options, archives.read_images)


def from_files(
    source: Path, files: list[ImageFile], options: ImageOptions, read: Reader | None = None
) -> Dataset:
    """The data set of these files, in this order within each split.

    source: the folder or archive that they are in. read: reads files that are not on disk.
    Raises ValueError for splits with different classes, and for images as `decode`.
    """
    train, test = ([file for file in files if file.split == split] for split in SPLITS)
    names = [{file.class_name for file in split} for split in (train, test)]
    if differing := sorted(names[0] ^ names[1]):
        raise ValueError(
            f"train and test of {str(source)!r} must have the same classes; "
            f"only one of them has {', '.join(differing)}"
        )
    classes = tuple(sorted(names[0]))
    label_of = {name: label for label, name in enumerate(classes)}
    # Both splits are decoded together, because one image in colour makes all of them RGB.
    both, n = train + test, len(train)
    contents = read and partial(read, source, both)
    images = load_images(source, both, options.cache_dir, options.image_size, contents)
    labels = np.array([label_of[file.class_name] for file in both], np.int64)
    augmentation = STANDARD if min(images.shape[1:3]) >= 28 else NO_AUGMENTATION
    splits = Split(images[:n], labels[:n]), Split(images[n:], labels[n:])
    return Dataset(source.resolve().name, classes, *splits, augmentation)
