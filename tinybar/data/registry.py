"""Data sets by name, and `load`, which finds them by name or path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..runtime.files import FileError
from . import image_folder
from .augmentation import NO_AUGMENTATION
from .dataset import Dataset
from .files import archives
from .files.decoder import Fit
from .files.folders import LAYOUT
from .image_folder import ImageOptions, TestSet

DATA_DIR = Path("data/cache")  # the default cache_dir of data sets with a name

Loader = Callable[[Path, ImageOptions], Dataset]


class NamedDataset(NamedTuple):
    """An entry of the registry: the arguments of `dataset`."""

    load: Loader
    resizable: bool


DATASETS: dict[str, NamedDataset] = {}  # filled by the modules in named/


def dataset(name: str, *, resizable: bool = False) -> Callable[[Loader], Loader]:
    """Register a function as the loader of the data set with this name.

    The function gets the folder where the files are, or are downloaded to, and the `ImageOptions`.
    resizable: whether it obeys options.image_size; otherwise --image-size is refused.
    Raises ValueError for a name that is already taken.
    """

    def register(loader: Loader) -> Loader:
        if name in DATASETS:
            raise ValueError(f"a data set called {name!r} is already registered")
        DATASETS[name] = NamedDataset(loader, resizable)
        return loader

    return register


def load(
    name: str | os.PathLike[str],
    *,
    cache_dir: Path | None = None,
    image_size: int | None = None,
    val_fraction: float = 0.0,
    augment: bool = True,
    shift: bool | None = None,
    mirror: bool | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set with that name, or in that folder or archive.

    name: one of `DATASETS`, or the path of a folder, zip or tar archive with
        `train/CLASS/*.jpg` and `test/CLASS/*.jpg` (or .jpeg, .png). A folder called digits is
        reached as `./digits`.
    cache_dir: where the files of data sets with a name are found or downloaded to, in it or in a
        folder of that name (None: data/cache), and where decoded images are cached, as read-only
        memory maps, until an image file changes (None: nowhere).
    image_size: side of the square that images in files are resized and cropped to.
    val_fraction: fraction of every class's training images that is held out for validation, drawn
        with `seed`.
    augment: whether training images are augmented at all. shift, mirror: whether they are shifted,
        and mirrored; None is as the data set has it. Image files of 28x28 or more pixels are both.

    The classes of a folder are sorted by name, and names that begin with a dot are ignored. Images
    have 8 bits per value, grey or RGB (one in colour makes all of them RGB), and one size unless
    image_size is given. Transparency is dropped; photographs are turned as their
    EXIF orientation says.

    Raises ValueError for an unknown name and for a missing or damaged file.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"a data set's name must be a string or a path, got {name!r}")
    if image_size is not None and image_size < 1:
        raise ValueError(f"--image-size must be at least 1, got {image_size}")
    data_dir = Path(cache_dir or DATA_DIR)
    options = ImageOptions(data_dir if cache_dir else None, image_size)
    if name in DATASETS:
        named = DATASETS[name]
        if image_size is not None and not named.resizable:
            raise ValueError(f"--image-size is for image files: {name} has images of one size")
        loaded = named.load(data_dir, options)
    else:
        loaded = image_folder.from_path(_existing(name), options)
    chosen = NO_AUGMENTATION
    if augment:
        chosen = loaded.augmentation.switched(shift, mirror, min(loaded.image_shape[:2]))
    return replace(loaded, augmentation=chosen).with_validation(val_fraction, seed)


def load_test(
    name: str | os.PathLike[str], image_shape: tuple[int, int, int], cache_dir: Path | None = None
) -> TestSet:
    """The test images of a data set, for a network that takes images of image_shape (H, W, C).

    Images in files are resized, cropped and converted to that shape, and there need be none for
    training; other images are as they are. Further arguments and errors: as `load`.
    """
    options = ImageOptions(cache_dir, fit=Fit(*image_shape))
    if name in DATASETS:
        loaded = DATASETS[name].load(Path(cache_dir or DATA_DIR), options)
        return TestSet(loaded.name, loaded.classes, loaded.test, loaded.scale, loaded.notes)
    return image_folder.test_of_path(_existing(name), options)


def _existing(name: str | os.PathLike[str]) -> Path:
    """The path of a folder or archive. Raises ValueError where there is none."""
    if os.path.isdir(name) or archives.is_archive(Path(name)):  # False, where Path.is_dir raises
        return Path(name)
    if os.path.isfile(name):
        raise FileError(f"{os.fspath(name)!r} is no zip or tar archive, or it is damaged")
    raise ValueError(
        f"unknown dataset {os.fspath(name)!r}: expected a name ({', '.join(DATASETS)}), or an "
        f"existing folder or archive with {LAYOUT}"
    )
