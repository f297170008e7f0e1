"""Many image files to one array. `decoder` decodes one of them, `decoder_pool` uses all cores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from ...runtime.files import FileError
from .decoder import AS_IS, Decoder, Fit, ImageError, filter_warnings, size_and_mode
from .decoder_pool import DecoderPool
from .folders import ImageFile

CHUNK = 256  # files whose contents are in memory at a time
CHUNK_BYTES = 1 << 27  # of their contents, and of their pixels
BATCH = 16  # files sent to a process at a time
NAMED = 10  # images that cannot be used, in a message
Contents = Callable[[], Iterable[tuple[int, str | bytes]]]  # (index, path or content) of each file
Faults = dict[int, str]  # why images cannot be used, by index


def decode(
    files: list[ImageFile],
    fit: Fit = AS_IS,
    contents: Contents | None = None,
    allocate: Callable[..., Any] | None = None,
) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8. C is 1 if every image is grey, otherwise 3.

    fit: what images are resized, cropped and converted to; by default, all must have one size.
    contents: returns the contents of files that are not on disk, in any order; called once or more.
    allocate: makes what images are written to, `array[index] = pixels`, from its shape: an array
        by default. It is called again if an image turns out to be in colour. Every row of the last
        one is filled, exactly once.

    Raises FileError that names the images, in the given order, that cannot be used.
    """
    contents = contents or (lambda: enumerate(file.path for file in files))
    allocate = allocate or partial(np.empty, dtype=np.uint8)
    with warnings.catch_warnings():
        filter_warnings()
        reference, (height, width), grey = _first(files, contents)
        resize = fit.height is not None
        if fit.height is not None and fit.width is not None:
            height, width = fit.height, fit.width
        for channels in (fit.channels,) if fit.channels else (1, 3) if grey else (3,):
            convert = fit.channels is not None
            decoder = Decoder((height, width, channels), reference, resize, convert)
            images = allocate((len(files), *decoder.shape))
            with DecoderPool(decoder, len(files)) as pool:
                if _decode_into(images, files, _with_progress_bar(contents(), len(files)), pool):
                    break  # otherwise an image is in colour, and all become RGB
    return images


def _first(files: list[ImageFile], contents: Contents) -> tuple[str, tuple[int, int], bool]:
    """Path, size and whether it is grey, of the first image that can be used."""
    faults = {}
    for index, content in contents():
        try:
            return files[index].path, *size_and_mode(content, files[index].path)
        except ImageError as error:
            faults[index] = str(error)
    raise _refused(faults, len(files))


def _decode_into(
    images, files: list[ImageFile], contents: Iterable[Any], pool: DecoderPool
) -> bool:
    """Fill `images`; False if `images` is grey but a file is in colour."""
    is_read, faults = np.zeros(len(files), bool), {}
    most = max(1, min(CHUNK, CHUNK_BYTES // math.prod(pool.decoder.shape)))
    for chunk in _chunks(contents, most):
        named = [(content, files[index].path) for index, content in chunk]
        batches = [named[k : k + BATCH] for k in range(0, len(named), BATCH)]
        decoded = chain.from_iterable(pool.decode(batches))
        for (index, _), pixels in zip(chunk, decoded, strict=True):
            if pixels is None:
                return False
            if is_read[index]:
                raise FileError(f"image {files[index].path!r} was read twice")
            is_read[index] = True
            if isinstance(pixels, str):
                faults[index] = pixels
            else:
                images[index] = pixels
    if not is_read.all():
        raise FileError(f"image {files[is_read.argmin()].path!r} could not be found again")
    if faults:
        raise _refused(faults, len(files))
    return True


def _chunks(contents: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """The contents in lists of up to `most`, and of few bytes, each sorted by index."""
    chunk, size = [], 0
    for index, content in contents:
        chunk.append((index, content))
        size += len(content)
        if len(chunk) == most or size >= CHUNK_BYTES:
            yield sorted(chunk, key=lambda item: item[0])
            chunk, size = [], 0
    if chunk:
        yield sorted(chunk, key=lambda item: item[0])


def _refused(faults: Faults, count: int) -> FileError:
    first = [faults[index] for index in sorted(faults)[:NAMED]]
    if len(faults) == 1:
        return FileError(*first)
    more = f"; and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
    all_ = f"{len(faults):,} of {count:,} images cannot be used"
    return FileError(f"{all_}: {'; '.join(first)}{more}")


def _with_progress_bar(contents: Iterable[Any], count: int) -> Iterable[Any]:
    """The contents unchanged, with a progress bar on a terminal if there are many."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or count < CHUNK:
        return contents
    return track(contents, "decoding images", count, console=console, transient=True)
