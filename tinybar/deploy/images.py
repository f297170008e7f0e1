"""The images that a trained network is given: files, folders of them, images of Pillow's."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.files.decoder import Decoder, filter_warnings
from ..data.files.folders import IMAGE_SUFFIXES, ImageFile, Listing, images_in, readable, told
from ..runtime.files import FileError, reading

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = str | os.PathLike[str] | Image


def list_images(paths: Iterable[str | os.PathLike[str]]) -> Listing:
    """The files among the paths, and for each folder the images in it and in the folders in it.

    The `class_name` of an image is the name of the folder that it is in. Raises FileError for a
    path that is neither, and for a folder without images.
    """
    files: list[ImageFile] = []
    passed_over: Counter[str] = Counter()
    for path in paths:
        if not os.path.isdir(path):
            with reading(path):
                stat = os.stat(path)
            folder = readable(Path(path).resolve().parent.name)
            files.append(ImageFile("", folder, os.fspath(path), stat.st_size, stat.st_mtime_ns))
            continue
        inside = images_in(Path(path))
        if not inside.files:
            found = f"; it has {told(inside.passed_over)}" if inside.passed_over else ""
            raise FileError(
                f"{os.fspath(path)!r} and the folders in it have no images "
                f"({', '.join(IMAGE_SUFFIXES)}){found}"
            )
        files += inside.files
        passed_over += inside.passed_over
    return Listing(files, passed_over)


def read_images(pictures: Iterable[Picture], shape: tuple[int, int, int]) -> np.ndarray:
    """(N, H, W, C) uint8 of image files by path and of Pillow's images, as a network reads them.

    As in training: turned upright, grey or RGB, resized to cover H x W, the centre cut out. Raises
    FileError for an image that cannot be used, TypeError for what is no image.
    """
    decoder = Decoder(shape, "", resize=True, convert=True)
    with warnings.catch_warnings():
        filter_warnings()
        images = [_read(picture, decoder) for picture in pictures]
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)


def _read(picture: Picture, decoder: Decoder) -> Any:
    if isinstance(picture, (str, os.PathLike)):
        return decoder.decode(os.fspath(picture), os.fspath(picture))
    if not hasattr(picture, "getexif"):
        raise TypeError(
            "images must be paths, images of Pillow's, or one array (N, H, W, C) of uint8, got a "
            f"{type(picture).__name__}"
        )
    return decoder.of_image(picture)
