"""Many image files to one array. `decoder` decodes one of them, `decoder_pool` uses all cores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import numpy as np

from .decoder import GREY_MODES, Decoder, open_image, raise_on_decompression_bomb
from .decoder_pool import DecoderPool
from .folders import ImageFile

CHUNK = 256  # files whose contents are in memory at a time
BATCH = 16  # files sent to a process at a time
Contents = Callable[[], Iterable[tuple[int, str | bytes]]]  # (index, path or content) of each file


def decode(
    files: list[ImageFile], image_size: int | None = None, contents: Contents | None = None
) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8. C is 1 if every image is grey, otherwise 3.

    image_size: side of the square that images are resized and cropped to, as in `Decoder`; None:
        all must have one size.
    contents: returns the contents of files that are not on disk, in any order; called once or more.

    Raises ValueError that names the first file, in the given order, that cannot be used.
    """
    for file in files:
        if file.size == 0:
            raise ValueError(f"image {file.path!r} is empty (0 bytes)")
    contents = contents or (lambda: enumerate(file.path for file in files))
    index, content = next(iter(contents()))
    reference = files[index].path
    with warnings.catch_warnings():
        raise_on_decompression_bomb()
        with open_image(content, reference) as image:
            width, height = (image_size, image_size) if image_size else image.size
            grey = image.mode in GREY_MODES
        for channels in (1, 3) if grey else (3,):
            decoder = Decoder((height, width, channels), reference, bool(image_size))
            images = np.empty((len(files), *decoder.shape), np.uint8)
            with DecoderPool(decoder, len(files)) as pool:
                if _decode_into(images, files, _with_progress_bar(contents(), len(files)), pool):
                    break  # otherwise an image is in colour, and all become RGB
    return images


def _decode_into(
    images: np.ndarray, files: list[ImageFile], contents: Iterator, pool: DecoderPool
) -> bool:
    """Fill `images`; False if `images` is grey but a file is in colour."""
    is_filled = np.zeros(len(files), bool)
    while chunk := sorted(islice(contents, CHUNK), key=lambda item: item[0]):
        named = [(content, files[index].path) for index, content in chunk]
        batches = [named[k : k + BATCH] for k in range(0, len(named), BATCH)]
        decoded = chain.from_iterable(pool.decode(batches))
        for (index, _), pixels in zip(chunk, decoded, strict=True):
            if pixels is None:
                return False
            if is_filled[index]:
                raise ValueError(f"image {files[index].path!r} was read twice")
            images[index], is_filled[index] = pixels, True
    if not is_filled.all():
        raise ValueError(f"image {files[is_filled.argmin()].path!r} could not be found again")
    return True


def _with_progress_bar(contents: Iterable, count: int) -> Iterator:
    """The contents unchanged, with a progress bar on a terminal if there are many."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or count < CHUNK:
        return iter(contents)
    return iter(track(contents, "decoding images", count, console=console, transient=True))
