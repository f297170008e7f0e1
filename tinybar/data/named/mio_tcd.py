"""The classification set of MIO-TCD [Luo et al. 2018]: photographs of vehicles of any size."""

from itertools import groupby
from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..files.folders import ImageFile, list_images
from ..image_folder import ImageOptions, from_files
from ..registry import dataset


@dataset("mio-tcd", resizable=True)
def mio_tcd(data_dir: Path, options: ImageOptions) -> Dataset:
    """The published training images, a tenth of every class held out as the test split.

    Its own test labels are not public. 128x128 unless options.image_size is given (Section 5.1).
    It is not downloaded, because no checksum of it is known.
    """
    source = data_dir / "mio-tcd"
    if not (source / "train").is_dir():
        raise ValueError(
            f"put the classification set of MIO-TCD (MIO-TCD-Classification.tar, from "
            f"tcd.miovision.com) unpacked into {str(source)!r}, as train/CLASS/*.jpg"
        )
    found = list_images(source, ("train",))
    listing = found._replace(files=_hold_out(found.files))
    options = options._replace(image_size=options.image_size or 128)
    return from_files(source, listing, None, options)


def _hold_out(files: list[ImageFile]) -> list[ImageFile]:
    """The same files, a tenth of every class in the test split: the same ones in every run."""
    rng, split = np.random.default_rng(0), []
    for _, group in groupby(files, key=lambda file: file.class_name):
        members = list(group)
        test = set(rng.permutation(len(members))[: max(1, len(members) // 10)])
        split += [
            file._replace(split="test") if k in test else file for k, file in enumerate(members)
        ]
    return split
