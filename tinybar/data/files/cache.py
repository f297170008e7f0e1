"""Decoded images on disk, so that image files are decoded once."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...runtime.files import write_whole
from .folders import ImageFile
from .images import Contents, decode


def load_images(
    source: Path,
    files: list[ImageFile],
    cache_dir: Path | None,
    image_size: int | None = None,
    contents: Contents | None = None,
) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8: a read-only memory map if there is a cache_dir.

    source: the folder or archive of the files, which names the cache file. Other arguments and
    errors: as `decode`; ValueError also where the cache cannot be written.
    """
    if cache_dir is None:
        return decode(files, image_size, contents)
    name = cache_name(source)
    path = cache_dir / f"{name}-{_fingerprint(source, files, image_size)}.npy"
    with open_cache(cache_dir):
        images = _read(path, len(files))
        if images is None:
            _write(path, decode(files, image_size, contents))
            for outdated in set(cache_dir.glob(f"{glob.escape(name)}-*.npy")) - {path}:
                outdated.unlink(missing_ok=True)
            images = _read(path, len(files))
    if images is None:
        raise ValueError(f"the cache {str(path)!r} cannot be read back after writing it")
    return images


def cache_name(source: Path) -> str:
    """The prefix of the cache files of a folder or archive: its name, and a hash of its path."""
    key = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:8]
    return f"{source.resolve().name}-{key}"


@contextmanager
def open_cache(cache_dir: Path) -> Iterator[None]:
    """Make the folder, and turn every OSError in the block into a ValueError that names it."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ValueError(
            f"cannot cache images in {str(cache_dir)!r}: {error.strerror or error}"
        ) from error


def _fingerprint(source: Path, files: list[ImageFile], image_size: int | None) -> str:
    """A hash that changes with the name, size or modification time of any file."""
    # fsencode, because a file's name need not be valid Unicode; NUL occurs in no path.
    inside = len(os.fspath(source))  # the rest of a path is relative to the source
    lines = [str(image_size).encode()]
    lines += [
        b"%s\0%d\0%d" % (os.fsencode(file.path[inside:]), file.size, file.mtime_ns)
        for file in files
    ]
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:16]


def _read(path: Path, count: int) -> np.ndarray | None:
    """A read-only memory map of (count, H, W, C) uint8, or None if the file holds no such array."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    except FileNotFoundError:
        return None
    except OSError:
        raise
    except Exception:  # a foreign or truncated file raises errors of many types
        return None
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != count:
        return None
    return np.asarray(images)


def _write(path: Path, images: np.ndarray) -> None:
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.save(file, images, allow_pickle=False)

    write_whole(path, write)
