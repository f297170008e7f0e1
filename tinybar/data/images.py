"""Image files to one array, and the cache that spares decoding them again.

Pillow is imported where it is used: the embedded digits load without it.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..blas import processors

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
GREY_MODES = ("1", "L", "LA")  # of Pillow
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


class ImageFile(NamedTuple):
    """An image file with its label. size: bytes. mtime_ns: when it was last written."""

    path: str
    label: int
    size: int
    mtime_ns: int


def read_images(folder: Path, files: list[ImageFile], cache_dir: Path | None) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8, through the cache if there is one.

    C is 1 if every image is grey, else 3. folder: holds the files, and gives the cache its name.
    Raises ValueError that names the first file, in the order given, that cannot be used.
    """
    if cache_dir is None:
        return decode(files)
    cached = Path(cache_dir) / f"{folder.resolve().name}-{_fingerprint(folder, files)}.npy"
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        images = _read_cache(cached, len(files))
        if images is None:
            _write_cache(cached, decode(files))
            images = _read_cache(cached, len(files))
    except OSError as error:
        raise ValueError(f"cannot keep decoded images in {str(cache_dir)!r}: {error}") from error
    if images is None:
        raise ValueError(f"the cache {str(cached)!r} cannot be read back after writing it")
    return images


# --- the cache -----------------------------------------------------------------------------------


def _fingerprint(folder: Path, files: list[ImageFile]) -> str:
    """Changes whenever a file is added, removed, renamed, resized or touched."""
    # fsencode, because a file's name need not be valid Unicode; NUL occurs in no path.
    lines = [os.fsencode(folder.resolve())]
    lines += [
        b"%s\0%d\0%d" % (os.fsencode(os.path.relpath(file.path, folder)), file.size, file.mtime_ns)
        for file in files
    ]
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:24]


def _read_cache(path: Path, count: int) -> np.ndarray | None:
    """A read-only memory map of (count, H, W, C) uint8, or None if the file holds no such array."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    except FileNotFoundError:
        return None
    except OSError:
        raise
    except Exception:  # not ours, or cut short by a crash, which ends in many kinds of errors
        return None
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != count:
        return None
    return np.asarray(images)


def _write_cache(path: Path, images: np.ndarray) -> None:
    """Under a temporary name first: another process sees the whole file or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            np.save(file, images, allow_pickle=False)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --- decoding ------------------------------------------------------------------------------------


def decode(files: list[ImageFile]) -> np.ndarray:
    """(N, H, W, C) uint8, decoded on all cores. Raises ValueError as `read_images`."""
    for file in files:
        if file.size == 0:
            raise ValueError(f"image {file.path!r} is empty (0 bytes)")
    with _open_image(files[0].path) as image:
        (width, height), grey = image.size, image.mode in GREY_MODES
    with ThreadPoolExecutor(processors()) as pool:
        for channels in (1, 3) if grey else (3,):
            images = np.empty((len(files), height, width, channels), np.uint8)
            if all(pool.map(partial(_decode_into, images, files), range(len(files)))):
                break  # else: some image is in colour, so all become RGB
    return images


def _decode_into(images: np.ndarray, files: list[ImageFile], i: int) -> bool:
    """Decode files[i] into images[i]. images: (N, H, W, C) uint8.

    Returns False, with nothing written, if that image is in colour but C is 1.
    """
    _, height, width, channels = images.shape
    path = files[i].path
    with _open_image(path) as image:
        if image.size != (width, height):
            raise ValueError(
                f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                f"{files[0].path!r} is {width}x{height} (width x height)"
            )
        if channels == 1 and image.mode not in GREY_MODES:
            return False
        images[i] = _pixels(image, path, channels)
    return True


def _open_image(path: str) -> Image:
    """Reads only the header. Other formats than JPEG and PNG are refused, whatever the suffix."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(path, formats=("JPEG", "PNG"))
    except UnidentifiedImageError as error:
        raise ValueError(f"image {path!r} is not a readable JPEG or PNG file") from error
    except Exception as error:  # whatever Pillow met, it is this file that cannot be used
        raise ValueError(f"cannot open image {path!r}: {error}") from error
    if image.mode not in GREY_MODES + COLOUR_MODES:
        image.close()
        raise ValueError(
            f"image {path!r} has mode {image.mode}: 8 bits per value, grey or colour, are expected"
        )
    return image


def _pixels(image: Image, path: str, channels: int) -> np.ndarray:
    """(H, W, channels) uint8."""
    try:
        if image.mode == "P":  # directly to RGB, Pillow warns about transparent palettes
            image = image.convert("RGBA")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # truncated or corrupt data ends in many kinds of errors
        raise ValueError(f"cannot decode image {path!r}: {error}") from error
    return pixels.reshape(image.height, image.width, channels)
