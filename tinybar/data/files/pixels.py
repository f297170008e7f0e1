"""One image file to an array of pixels.

Pillow is imported where it is used: the embedded digits load without it.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
GREY_MODES = ("1", "L", "LA")  # of Pillow
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


class Target(NamedTuple):
    """What every image becomes. shape: (H, W, C).

    first: the path of the image that the size is taken from. fits: images are made to fit: the
    shorter side is resized to H = W (bilinear, which averages where it shrinks), and the centre is
    cut out.
    """

    shape: tuple[int, int, int]
    first: str
    fits: bool

    def pixels(self, content: str | bytes, path: str) -> np.ndarray | None:
        """(H, W, C) uint8; None if the image is in colour but C is 1.

        content: of the file, or where it is. Raises ValueError, naming `path`, if it is at fault.
        """
        height, width, channels = self.shape
        with open_image(content, path) as image:
            if not self.fits and image.size != (width, height):
                raise ValueError(
                    f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                    f"{self.first!r} is {width}x{height} (width x height); --image-size makes "
                    "them fit"
                )
            if channels == 1 and image.mode not in GREY_MODES:
                return None
            return _pixels(image, path, channels, width if self.fits else None)


def refuse_bombs() -> None:
    """Let Pillow's warning of too many pixels be an error, until warnings are reset."""
    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)


def open_image(content: str | bytes, path: str) -> Image:
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
