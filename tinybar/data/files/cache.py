"""Decoded images on disk, so that image files are decoded once.

A cache is an array in NumPy's format, followed by the SHA-256 of all before it. It is written image
by image: no more than a few of them are in memory.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ...runtime.files import write_whole
from .decoder import AS_IS, Fit
from .folders import ImageFile
from .images import Contents, decode

FORMAT = 3  # of caches; it changes too when the same file is decoded to other pixels
CHECKSUM = hashlib.sha256().digest_size
DAY = 24 * 60 * 60  # seconds


def load_images(
    source: Path,
    files: list[ImageFile],
    cache_dir: Path | None,
    fit: Fit = AS_IS,
    contents: Contents | None = None,
) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8: a read-only memory map if there is a cache_dir.

    source: the folder or archive of the files, which names the cache file. Other arguments and
    errors: as `decode`; ValueError also where the cache cannot be written.
    """
    if cache_dir is None:
        return decode(files, fit, contents)
    name, key = f"{cache_name(source)}-{fit}", _fingerprint(source, files, fit)
    path = cache_dir / f"{name}-{key}.npy"
    with open_cache(cache_dir):
        # Under whatever name: the same files may have been elsewhere.
        for found in (path, *cache_dir.glob(f"*-{key}.npy")):
            if (images := _read(found, len(files))) is not None:
                return images
        write_whole(path, lambda temporary: _write(temporary, files, fit, contents))
        for outdated in (*cache_dir.glob(f"{glob.escape(name)}-*.npy"), *_leftovers(path, name)):
            if outdated != path:
                outdated.unlink(missing_ok=True)
        images = _read(path, len(files))
    if images is None:
        raise ValueError(f"the cache {str(path)!r} cannot be read back after writing it")
    return images


def _leftovers(path: Path, name: str) -> Iterator[Path]:
    """What killed processes had begun to write of this cache: nobody has gone on for a day."""
    for begun in path.parent.glob(f".{glob.escape(name)}-*.npy.*.tmp"):
        with suppress(FileNotFoundError):  # its process has just finished it
            if time.time() - begun.stat().st_mtime > DAY:
                yield begun


def cache_name(source: Path) -> str:
    """The prefix of the cache files of a folder or archive: its name, and a hash of its path."""
    key = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:8]
    return f"{source.resolve().name[:40]}-{key}"  # a name may have 255 bytes, with all its suffixes


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


def _fingerprint(source: Path, files: list[ImageFile], fit: Fit) -> str:
    """A hash that changes with the name, size or modification time of any file."""
    # fsencode, because a file's name need not be valid Unicode; NUL occurs in no path.
    inside = len(os.fspath(source))  # the rest of a path is relative to the source
    lines = [f"{FORMAT} {fit}".encode()]
    lines += [
        b"%s\0%d\0%d" % (os.fsencode(file.path[inside:]), file.size, file.mtime_ns)
        for file in files
    ]
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:16]


def _read(path: Path, count: int) -> np.ndarray | None:
    """A read-only memory map of (count, H, W, C) uint8, or None if the file is no such array."""
    try:
        stored = np.memmap(path, np.uint8, "r")
        if hashlib.sha256(stored[:-CHECKSUM].data).digest() != stored[-CHECKSUM:].tobytes():
            return None
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


def _write(path: Path, files: list[ImageFile], fit: Fit, contents: Contents | None) -> None:
    with open(path, "wb+") as file:
        decode(files, fit, contents, lambda shape: _Rows(file, shape))
        file.seek(0)
        checksum = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(checksum)


class _Rows:
    """An array of that shape in a file: `rows[index] = pixels` writes one image."""

    def __init__(self, file, shape: tuple[int, ...]):
        file.seek(0)
        file.truncate()
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self.file, self.start, self.size = file, file.tell(), math.prod(shape[1:])

    def __setitem__(self, index: int, pixels: np.ndarray) -> None:
        self.file.seek(self.start + index * self.size)
        self.file.write(np.ascontiguousarray(pixels))
