"""The embedded 8x8 digits. Origin, licence and split: data/README.md."""

from pathlib import Path

import numpy as np

from ...runtime.files import FileError, reading
from ..dataset import Dataset, Split
from ..image_folder import ImageOptions
from ..registry import dataset

CLASSES = tuple("0123456789")


@dataset("digits")
def digits(data_dir: Path, options: ImageOptions) -> Dataset:
    """1,437 training and 360 test images, 8x8, grey, with values from 0 to 16."""
    path = find_archive()
    with reading(path), np.load(path, allow_pickle=False) as stored:
        if damaged := stored.zip.testzip():  # NumPy need not read to the end, where the CRC counts
            raise FileError(f"{path} is truncated or damaged: Bad CRC of {damaged}")
        images = stored["images"][..., None]
        labels = stored["labels"].astype(np.int64)
        train, test = (Split(images[k], labels[k]) for k in (stored["train"], stored["test"]))
        return Dataset("digits", CLASSES, train, test, scale=16.0)


def find_archive() -> Path:
    """digits.npz: inside the package in an installed wheel, in data/ in a source checkout."""
    package = Path(__file__).resolve().parents[2]
    candidates = package / "_data" / "digits.npz", package.parent / "data" / "digits.npz"
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"the embedded digits are missing: neither {candidates[0]} nor "
        f"{candidates[1]} exists; reinstall tinybar"
    )
