"""One image file to an array of pixels.

Pillow is imported inside the functions: the embedded digits load without it.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

GREY_MODES = ("1", "L", "LA")  # as Pillow calls them
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")

Batch = list[tuple[str | bytes, str]]  # (content or where it is on disk, path for messages)


class Decoder(NamedTuple):
    """Decodes image files to arrays of one shape.

    shape: (H, W, C). reference: path of the image that the shape is taken from, for messages.
    resize: whether the shorter side is resized to H = W (bilinear, antialiased) and the centre
    cropped; otherwise an image of another size is an error.
    """

    shape: tuple[int, int, int]
    reference: str
    resize: bool

    def decode_all(self, batch: Batch) -> list[np.ndarray | None]:
        """`decode` of every image, in order."""
        return [self.decode(content, path) for content, path in batch]

    def decode(self, content: str | bytes, path: str) -> np.ndarray | None:
        """(H, W, C) uint8; None if the image is in colour but C is 1.

        content: of the file, or where it is on disk. Raises ValueError that names `path`.
        """
        height, width, channels = self.shape
        with open_image(content, path) as image:
            if not self.resize and image.size != (width, height):
                raise ValueError(
                    f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                    f"{self.reference!r} is {width}x{height} (width x height); --image-size N "
                    "resizes and crops them to NxN"
                )
            if channels == 1 and image.mode not in GREY_MODES:
                return None
            return _pixels(image, path, channels, width if self.resize else None)


def raise_on_decompression_bomb() -> None:
    """Turn Pillow's warning of too many pixels into an error, until the filters are reset."""
    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)


def open_image(content: str | bytes, path: str) -> Image:
    """Read the header. ValueError unless it is JPEG or PNG, whatever the suffix, of 8 bits."""
    from PIL import Image, UnidentifiedImageError

    try:
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        image = Image.open(file, formats=("JPEG", "PNG"))
    except UnidentifiedImageError as error:
        raise ValueError(f"image {path!r} is not a readable JPEG or PNG file") from error
    except Exception as error:  # damaged files raise errors of many types
        raise ValueError(f"cannot open image {path!r}: {error}") from error
    if image.mode not in GREY_MODES + COLOUR_MODES:
        image.close()
        raise ValueError(
            f"image {path!r} has mode {image.mode}: expected 8 bits per value, grey or colour"
        )
    return image


def _pixels(image: Image, path: str, channels: int, side: int | None) -> np.ndarray:
    """(H, W, channels) uint8. side: of the square to resize and crop to, or None."""
    try:
        if image.mode == "P":  # directly to RGB, Pillow warns about transparent palettes
            image = image.convert("RGBA")
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        if side is not None:
            image = _resized_and_cropped(image, side)
        pixels = np.asarray(image)
    except Exception as error:  # damaged files raise errors of many types
        raise ValueError(f"cannot decode image {path!r}: {error}") from error
    return pixels.reshape(image.height, image.width, channels)


def _resized_and_cropped(image: Image, side: int) -> Image:
    from PIL.Image import Resampling

    scale = side / min(image.size)
    width, height = (max(side, round(n * scale)) for n in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))
