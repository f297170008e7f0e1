"""Image files to one array, and the cache that spares decoding them again.

`pixels.py` has what is done to one image, `decoders.py` the processes that share the work.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...runtime.files import write_whole
from .decoders import Decoders
from .pixels import GREY_MODES, Target, open_image, refuse_bombs

CHUNK = 256  # files that are read ahead of the decoders: packed photographs, in memory
BATCH = 16  # files that a decoder gets at a time


class ImageFile(NamedTuple):
    """An image file with its label.

    size: bytes. mtime_ns: when it was last written. entry: its number among the entries of an
    archive.
    """

    path: str
    label: int
    size: int
    mtime_ns: int
    entry: int = 0


Contents = Callable[[], Iterable[tuple[int, str | bytes]]]  # (place, path or content) of each file


def read_images(
    source: Path,
    files: list[ImageFile],
    cache_dir: Path | None,
    image_size: int | None = None,
    contents: Contents | None = None,
) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8, through the cache if there is one.

    C is 1 if every image is grey, else 3. source: the folder or archive that holds the files, which
    gives the cache its name. image_size and contents: as `decode`.
    Raises ValueError that names the first file, in the order given, that cannot be used.
    """
    if cache_dir is None:
        return decode(files, image_size, contents)
    name = cache_name(source)
    cached = Path(cache_dir) / f"{name}-{_fingerprint(source, files, image_size)}.npy"
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        images = _read_cache(cached, len(files))
        if images is None:
            _write_cache(cached, decode(files, image_size, contents))
            for old in set(cached.parent.glob(f"{glob.escape(name)}-*.npy")) - {cached}:
                old.unlink(missing_ok=True)  # of the same source, before it changed
            images = _read_cache(cached, len(files))
    except OSError as error:
        raise ValueError(
            f"cannot keep decoded images in {str(cache_dir)!r}: {error.strerror or error}"
        ) from error
    if images is None:
        raise ValueError(f"the cache {str(cached)!r} cannot be read back after writing it")
    return images


# --- the cache -----------------------------------------------------------------------------------


def cache_name(source: Path) -> str:
    """What the files of a source begin with: its name, and what tells it from its namesakes."""
    key = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:8]
    return f"{source.resolve().name}-{key}"


def _fingerprint(source: Path, files: list[ImageFile], image_size: int | None) -> str:
    """Changes whenever a file is added, removed, renamed, resized or touched."""
    # fsencode, because a file's name need not be valid Unicode; NUL occurs in no path.
    inside = len(os.fspath(source))  # of a path, what follows it tells the file in the source
    lines = [str(image_size).encode()]
    lines += [
        b"%s\0%d\0%d" % (os.fsencode(file.path[inside:]), file.size, file.mtime_ns)
        for file in files
    ]
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:16]


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
    """Another process sees the whole file or none."""

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.save(file, images, allow_pickle=False)

    write_whole(path, write)


# --- decoding ------------------------------------------------------------------------------------


def decode(
    files: list[ImageFile], image_size: int | None = None, contents: Contents | None = None
) -> np.ndarray:
    """(N, H, W, C) uint8, decoded on all cores. Raises ValueError as `read_images`.

    image_size: None, or the side of the square that every image is made to fit (`Target`).
    contents: where the files are not on disk, their contents in any order, anew at every call.
    """
    for file in files:
        if file.size == 0:
            raise ValueError(f"image {file.path!r} is empty (0 bytes)")
    if contents is None:
        contents = lambda: ((k, file.path) for k, file in enumerate(files))  # noqa: E731
    place, content = next(iter(contents()))
    first = files[place].path
    with warnings.catch_warnings():
        refuse_bombs()
        with open_image(content, first) as image:
            width, height = (image_size, image_size) if image_size else image.size
            grey = image.mode in GREY_MODES
        for channels in (1, 3) if grey else (3,):
            target = Target((height, width, channels), first, bool(image_size))
            images = np.empty((len(files), *target.shape), np.uint8)
            with Decoders(target, len(files)) as decoders:
                if _all(decoders, images, files, _watched(contents(), len(files))):
                    break  # else: some image is in colour, so all become RGB
    return images


def _all(
    decoders: Decoders, images: np.ndarray, files: list[ImageFile], contents: Iterator
) -> bool:
    """Whether all could be decoded into their places. Of several at fault the first is named."""
    is_filled = np.zeros(len(files), bool)
    while chunk := sorted(islice(contents, CHUNK), key=lambda item: item[0]):
        items = [(content, files[place].path) for place, content in chunk]
        batches = [items[k : k + BATCH] for k in range(0, len(items), BATCH)]
        decoded = itertools.chain.from_iterable(decoders.decode(batches))
        for (place, _), pixels in zip(chunk, decoded, strict=True):
            if pixels is None:
                return False
            if is_filled[place]:
                raise ValueError(f"image {files[place].path!r} was read twice")
            images[place], is_filled[place] = pixels, True
    if not is_filled.all():
        raise ValueError(f"image {files[is_filled.argmin()].path!r} could not be found again")
    return True


def _watched(contents: Iterable, count: int) -> Iterator:
    """The same, with a progress bar where somebody watches and there is much to do."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or count < CHUNK:
        return iter(contents)
    return iter(track(contents, "decoding images", count, console=console, transient=True))
