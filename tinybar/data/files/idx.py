"""The idx format of MNIST, gzipped or not [LeCun, Cortes & Burges, "THE MNIST DATABASE"].

Two zero bytes, the type of the values (8: unsigned bytes), the number of axes, their lengths as
big-endian 32-bit integers, the values.
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from ...runtime.files import FileError, reading
from ..dataset import Split

UNSIGNED_BYTES = 8
MAX_VALUES = 1 << 32  # that a header may announce
PIECE = 1 << 20  # bytes read at once


def read_split(images: Path, labels: Path) -> Split:
    """Images (N, H, W, 1) and labels (N,) from a pair of files. Raises FileError as `read_idx`."""
    pixels, classes = read_idx(images, axes=3), read_idx(labels, axes=1)
    if len(pixels) != len(classes):
        raise FileError(
            f"{images} has {len(pixels)} images, but {labels} has {len(classes)} labels"
        )
    return Split(pixels[..., None], classes.astype(np.int64))


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The array in the file, uint8. No more is read than the header announces and the file holds.

    Raises FileError if it is missing, truncated, too long, or has another format or number of axes.
    """
    with reading(path):
        with open(path, "rb") as file:
            is_gzipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzipped else open(path, "rb") as file:
            header = file.read(4)
            if len(header) < 4 or header[:2] != b"\0\0" or header[2] != UNSIGNED_BYTES:
                raise FileError(f"{path} is not an idx file of bytes: it begins with {header!r}")
            if header[3] != axes:
                raise FileError(f"{path} has {header[3]} axes, expected {axes}")
            lengths = file.read(4 * axes)
            if len(lengths) < 4 * axes:
                raise FileError(f"{path} is truncated: it ends in its header")
            shape = struct.unpack(f">{axes}I", lengths)
            count = math.prod(shape)
            if count > MAX_VALUES:
                raise FileError(f"{path} announces an array of {shape}, which is too large")
            values = bytearray()  # grows with what is there: an announcement takes no memory
            while piece := file.read(min(PIECE, count + 1 - len(values))):
                values += piece
    if len(values) != count:
        state = "truncated" if len(values) < count else "too long"
        raise FileError(f"{path} is {state}: its header announces {count:,} values")
    return np.frombuffer(values, np.uint8).reshape(shape)
