"""The first images of each class of a data set, as a folder of PNG files with all test images.

    python benchmarks/subset.py fashion-mnist 2000 runs/data/fashion-mnist-20000

For runs on fewer images than a data set has: `--data FOLDER`.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from tinybar import data
from tinybar.data import Dataset, Split


def write(split: Split, classes: tuple[str, ...], folder: Path, most: int | None) -> None:
    """Write at most so many images of each class to folder/CLASS/NUMBER.png."""
    for label, name in enumerate(classes):
        home = folder / name.replace("/", "-")  # "T-shirt/top" of Fashion-MNIST is one folder
        home.mkdir(parents=True)
        for k in np.flatnonzero(split.labels == label)[:most]:
            pixels = np.asarray(split.images[k], np.uint8)
            image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            image.save(home / f"{k:05}.png")


@click.command()
@click.argument("name")
@click.argument("each", type=click.IntRange(min=1))
@click.argument("folder", type=click.Path(path_type=Path, exists=False))
@click.option("--data-dir", type=click.Path(path_type=Path), default="data/cache")
def main(name: str, each: int, folder: Path, data_dir: Path) -> None:
    dataset: Dataset = data.load(name, cache_dir=data_dir)
    write(dataset.train, dataset.classes, folder / "train", each)
    write(dataset.test, dataset.classes, folder / "test", None)
    print(f"{each * len(dataset.classes):,} training images, {len(dataset.test):,} test images")


if __name__ == "__main__":
    main()
