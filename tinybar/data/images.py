"""Image files to one array, and the cache that spares decoding them again.

Pillow is imported where it is used: the embedded digits load without it.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..blas import processors

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
GREY_MODES = ("1", "L", "LA")  # of Pillow
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")
CHUNK = 1024  # files that are read ahead of the decoders


class ImageFile(NamedTuple):
    """An image file with its label. size: bytes. mtime_ns: when it was last written."""

    path: str
    label: int
    size: int
    mtime_ns: int


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
            for old in set(cached.parent.glob(f"{name}-*.npy")) - {cached}:
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
    """Under a temporary name first: another process sees the whole file or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            np.save(file, images, allow_pickle=False)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --- decoding ------------------------------------------------------------------------------------


def decode(
    files: list[ImageFile], image_size: int | None = None, contents: Contents | None = None
) -> np.ndarray:
    """(N, H, W, C) uint8, decoded on all cores. Raises ValueError as `read_images`.

    image_size: None, or the side of the square that every image becomes: its shorter side is
    resized to that (bilinear, which averages where it shrinks), and the centre is cut out.
    contents: where the files are not on disk, their contents in any order, anew at every call.
    """
    from PIL import Image

    for file in files:
        if file.size == 0:
            raise ValueError(f"image {file.path!r} is empty (0 bytes)")
    if contents is None:
        contents = lambda: ((k, file.path) for k, file in enumerate(files))  # noqa: E731
    first = next(iter(contents()))
    with _open_image(first[1], files[first[0]].path) as image:
        size = (image_size, image_size) if image_size else image.size
        grey = image.mode in GREY_MODES
    with warnings.catch_warnings(), ThreadPoolExecutor(processors()) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for channels in (1, 3) if grey else (3,):
            images = np.empty((len(files), size[1], size[0], channels), np.uint8)
            decoder = _Decoder(images, files, files[first[0]].path, bool(image_size))
            if _all(pool, decoder, _watched(contents(), len(files))):
                break  # else: some image is in colour, so all become RGB
    return images


def _all(pool: ThreadPoolExecutor, decoder: _Decoder, contents: Iterator) -> bool:
    """Whether all could be decoded. Of several files at fault the first one given is named."""
    while chunk := list(islice(contents, CHUNK)):
        # Every result is looked at before the next chunk is read.
        if not all(list(pool.map(decoder, sorted(chunk, key=lambda item: item[0])))):
            return False
    return True


def _watched(contents: Iterable, count: int) -> Iterator:
    """The same, with a progress bar where somebody watches and there is much to do."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or count < CHUNK:
        return iter(contents)
    return iter(track(contents, "decoding images", count, console=console, transient=True))


class _Decoder(NamedTuple):
    """Decodes one of `files` into its place in `images`, (N, H, W, C) uint8.

    first: the path of the image that the size is taken from. fits: images are made to fit.
    """

    images: np.ndarray
    files: list[ImageFile]
    first: str
    fits: bool

    def __call__(self, item: tuple[int, str | bytes]) -> bool:
        """Returns False, with nothing written, if that image is in colour but C is 1."""
        place, content = item
        _, height, width, channels = self.images.shape
        path = self.files[place].path
        with _open_image(content, path) as image:
            if not self.fits and image.size != (width, height):
                raise ValueError(
                    f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                    f"{self.first!r} is {width}x{height} (width x height); --image-size makes "
                    "them fit"
                )
            if channels == 1 and image.mode not in GREY_MODES:
                return False
            self.images[place] = _pixels(image, path, channels, width if self.fits else None)
        return True


def _open_image(content: str | bytes, path: str) -> Image:
    """Reads only the header. Other formats than JPEG and PNG are refused, whatever the suffix."""
    from PIL import Image, UnidentifiedImageError

    try:
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        image = Image.open(file, formats=("JPEG", "PNG"))
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


def _pixels(image: Image, path: str, channels: int, side: int | None) -> np.ndarray:
    """(H, W, channels) uint8; side: None, or that of the square that the image is made to fit."""
    try:
        if image.mode == "P":  # directly to RGB, Pillow warns about transparent palettes
            image = image.convert("RGBA")
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        if side is not None:
            image = _fitted(image, side)
        pixels = np.asarray(image)
    except Exception as error:  # truncated or corrupt data ends in many kinds of errors
        raise ValueError(f"cannot decode image {path!r}: {error}") from error
    return pixels.reshape(image.height, image.width, channels)


def _fitted(image: Image, side: int) -> Image:
    """The shorter side resized to `side`, then the square in the centre."""
    from PIL.Image import Resampling

    scale = side / min(image.size)
    width, height = (max(side, round(n * scale)) for n in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))
