"""Data sets made of image files, in a folder or an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime.files import FileError
from .augmentation import NO_AUGMENTATION, STANDARD
from .dataset import Dataset, Split
from .files import archives, folders
from .files.cache import load_images
from .files.decoder import Fit
from .files.folders import SPLITS, ImageFile, Listing, readable, told

Reader = Callable[[Path, list[ImageFile]], Iterable[tuple[int, bytes]]]  # as archives.read_images


class ImageOptions(NamedTuple):
    """How image files are read.

    cache_dir: where decoded images are cached; None: nowhere. image_size: side of the square that
    every image is resized and cropped to; None: all images must have one size. fit: what every
    image is made to, whatever image_size says.
    """

    cache_dir: Path | None = None
    image_size: int | None = None
    fit: Fit | None = None


class TestSet(NamedTuple):
    """The test images of a data set that may have no others. Fields: as those of `Dataset`."""

    name: str
    classes: tuple[str, ...]
    test: Split
    scale: float = 255.0
    notes: tuple[str, ...] = ()


def from_path(path: Path, options: ImageOptions) -> Dataset:
    """The data set in path/train/CLASS and path/test/CLASS, or in an archive of such a folder.

    Raises ValueError as `load`.
    """
    return from_files(path, *_listed(path, SPLITS, options), options)


def test_of_path(path: Path, options: ImageOptions) -> TestSet:
    """The images in path/test/CLASS, or in an archive of such a folder; no others are needed."""
    listing, read = _listed(path, SPLITS[1:], options)
    classes, split = _decoded(path, listing.files, options, read)
    return TestSet(
        readable(path.resolve().name), classes, split, notes=_notes(path, listing, classes)
    )


def _listed(
    path: Path, splits: Sequence[str], options: ImageOptions
) -> tuple[Listing, Reader | None]:
    if path.is_dir():
        return folders.list_images(path, splits), None
    return archives.list_images(path, splits, options.cache_dir), archives.read_images


def from_files(
    source: Path, listing: Listing, read: Reader | None, options: ImageOptions
) -> Dataset:
    """The data set of the files in `listing`, in this order within each split.

    source: the folder or archive that they are in. read: reads files that are not on disk.
    Raises ValueError for splits with different classes, and for images as `decode`.
    """
    train, test = ([file for file in listing.files if file.split == split] for split in SPLITS)
    names = [{file.class_name for file in split} for split in (train, test)]
    if differing := sorted(names[0] ^ names[1]):
        raise FileError(
            f"train and test of {str(source)!r} must have the same classes; "
            f"only one of them has {', '.join(differing)}"
        )
    # Both splits are decoded together, because one image in colour makes all of them RGB.
    classes, both = _decoded(source, train + test, options, read)
    augmentation = STANDARD if min(both.images.shape[1:3]) >= 28 else NO_AUGMENTATION
    n, notes = len(train), _notes(source, listing, classes)
    first, second = both.subset(slice(n)), both.subset(slice(n, None))
    name = readable(source.resolve().name)
    return Dataset(name, classes, first, second, augmentation, notes=notes)


def _decoded(
    source: Path, files: list[ImageFile], options: ImageOptions, read: Reader | None
) -> tuple[tuple[str, ...], Split]:
    """(classes, images with labels), in the order of the files."""
    classes = tuple(sorted({file.class_name for file in files}))
    label_of = {name: label for label, name in enumerate(classes)}
    fit = options.fit or Fit(options.image_size, options.image_size)
    contents = read and partial(read, source, files)
    images = load_images(source, files, options.cache_dir, fit, contents)
    return classes, Split(images, np.array([label_of[file.class_name] for file in files], np.int64))


def _notes(source: Path, listing: Listing, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What a user of these files should be told, a line each."""
    notes = []
    if listing.passed_over:
        notes.append(f"images skipped in {str(source)!r}: {told(listing.passed_over)}")
    spellings = Counter(name.casefold() for name in classes)
    if alike := [name for name in classes if spellings[name.casefold()] > 1]:
        notes.append(f"classes that differ in upper and lower case alone: {', '.join(alike)}")
    return tuple(notes)
