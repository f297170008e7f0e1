"""One image file to an array of pixels.

Pillow is imported inside the functions: the embedded digits load without it.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...runtime.files import FileError

if TYPE_CHECKING:
    from PIL.Image import Image

GREY_MODES = ("1", "L", "LA")  # as Pillow calls them
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")
ORIENTATION = 0x0112  # of a photograph, in EXIF
UPRIGHT = {  # what Pillow calls the transpositions that undo the orientations
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
LONGEST = 8  # times what is cut out, is resized

Batch = list[tuple[str | bytes, str]]  # (content or where it is on disk, path for messages)


class ImageError(FileError):
    """One image that cannot be used."""


class Fit(NamedTuple):
    """What images are made to; None leaves that as it is.

    height, width: with both, an image is resized (bilinear, antialiased) to cover them, and the
    centre is cropped. channels: 1 (grey) or 3 (RGB).
    """

    height: int | None = None
    width: int | None = None
    channels: int | None = None

    def __str__(self) -> str:
        return "x".join(str(n or "n") for n in self)


AS_IS = Fit()


class Decoder(NamedTuple):
    """Decodes image files to arrays of one shape.

    shape: (H, W, C). reference: path of the image that the shape is taken from, for messages.
    resize: whether an image of another size is fitted, otherwise it is an error. convert: whether
    an image in colour is made grey where C is 1.
    """

    shape: tuple[int, int, int]
    reference: str
    resize: bool
    convert: bool = False

    def decode_all(self, batch: Batch) -> list[np.ndarray | str | None]:
        """`decode` of every image, in order; a message in place of one that cannot be used."""
        decoded: list[np.ndarray | str | None] = []
        for content, path in batch:
            try:
                decoded.append(self.decode(content, path))
            except ImageError as error:
                decoded.append(str(error))
        return decoded

    def decode(self, content: str | bytes, path: str) -> np.ndarray | None:
        """(H, W, C) uint8; None if the image is in colour but C is 1.

        content: of the file, or where it is on disk. Raises ImageError that names `path`, and
        FileError for an image of another size.
        """
        with _opened(content, path) as image:
            if self.shape[2] == 1 and image.mode not in GREY_MODES and not self.convert:
                return None
            return self._pixels(_upright(image), path)

    def of_image(self, image: Image) -> np.ndarray:
        """(H, W, C) uint8 of an image that Pillow has opened or made. ImageError as `decode`."""
        _check_mode(image, "image")
        return self._pixels(_upright(image), "image")

    def _pixels(self, image: Image, path: str) -> np.ndarray:
        height, width, channels = self.shape
        if not self.resize and image.size != (width, height):
            raise FileError(
                f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                f"{self.reference!r} is {width}x{height} (width x height); --image-size N "
                "resizes and crops them to NxN"
            )
        if image.mode == "P":  # directly to RGB, Pillow warns about transparent palettes
            image = image.convert("RGBA")
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        if self.resize:
            image = _fitted(image, width, height)
        return np.asarray(image).reshape(self.shape)


def size_and_mode(content: str | bytes, path: str) -> tuple[tuple[int, int], bool]:
    """((H, W), whether it is grey) of an image that can be decoded. ImageError for another."""
    with _opened(content, path) as image:
        grey, (width, height) = image.mode in GREY_MODES, _upright(image).size
    return (height, width), grey


def filter_warnings() -> None:
    """Turn Pillow's warning of too many pixels into an error, until the filters are reset.

    Its other warnings are of details that images are readable without.
    """
    from PIL import Image

    warnings.simplefilter("ignore", UserWarning)
    warnings.simplefilter("error", Image.DecompressionBombWarning)


@contextmanager
def _opened(content: str | bytes, path: str) -> Iterator[Image]:
    """The image, of which only the header is read yet, in a block that decodes it."""
    with _open(content, path) as image:
        try:
            yield image
        except FileError:
            raise
        except Exception as error:  # damaged files raise errors of many types
            reason = str(error) or type(error).__name__
            raise ImageError(f"cannot decode image {path!r}: {reason}") from error


def _open(content: str | bytes, path: str) -> Image:
    """Read the header. ImageError unless it is JPEG or PNG, whatever the suffix, of 8 bits."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not (len(content) if isinstance(content, bytes) else os.path.getsize(content)):
            raise ImageError(f"image {path!r} is empty (0 bytes)")
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        image = Image.open(file, formats=("JPEG", "PNG"))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"image {path!r} is not a readable JPEG or PNG file") from error
    except Exception as error:
        raise ImageError(f"cannot open image {path!r}: {error}") from error
    try:
        _check_mode(image, f"image {path!r}")
    except ImageError:
        image.close()
        raise
    return image


def _check_mode(image: Image, name: str) -> None:
    if image.mode not in GREY_MODES + COLOUR_MODES:
        raise ImageError(f"{name} has mode {image.mode}: expected 8 bits per value, grey or colour")


def _upright(image: Image) -> Image:
    """The image decoded, and turned as its EXIF orientation says."""
    from PIL.Image import Transpose

    image.load()
    try:
        how = UPRIGHT.get(image.getexif().get(ORIENTATION, 0))
    except Exception:  # damaged EXIF: the pixels are whole
        how = None
    return image if how is None else image.transpose(Transpose[how])


def _fitted(image: Image, width: int, height: int) -> Image:
    """The image resized to cover width x height, and its centre cut out."""
    from PIL.Image import Resampling

    scale = max(width / image.width, height / image.height)
    # A strip is cut first: resized whole, 1x500,000 pixels would become 64x32,000,000.
    longest = [LONGEST * math.ceil(n / scale) for n in (width, height)]
    image = _centre(image, *map(min, image.size, longest))
    covering = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    # The width first, then the height: in one call Pillow chooses, and rounds in between. So the
    # pixels are those of any version of it, and of the graph that `deploy.preprocessing` makes.
    for size in ((covering[0], image.height), covering):
        if image.size != size:
            image = image.resize(size, Resampling.BILINEAR)
    return _centre(image, width, height)


def _centre(image: Image, width: int, height: int) -> Image:
    if image.size == (width, height):
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
