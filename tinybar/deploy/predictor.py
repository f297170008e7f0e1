"""A trained network put to work in Python."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import nn
from ..autograd import Tensor, no_grad, softmax
from ..data import Normalised
from ..data.checks import check_array
from ..data.files.decoder import Fit
from ..data.files.folders import ImageFile
from ..data.files.images import decode
from ..runtime.arrays import to_device, to_numpy
from ..train.evaluate import saved_network
from .export import export
from .images import read_images

if TYPE_CHECKING:
    from .images import Picture

BATCH = 256  # images at a time, as `tinybar eval` takes them
CHUNK_BYTES = 1 << 29  # of decoded images


def load(path: str | os.PathLike[str], *, teacher: bool = False) -> Predictor:
    """The network in a run's folder or in a .safetensors file that a run wrote.

    teacher: the full network of the run, not the pruned one. Raises ValueError for a path that
    holds no network, with the reason.
    """
    return Predictor(*saved_network(Path(path), teacher))


class Predictor:
    """A network that reads images as it did in training, and gives probabilities.

    network: in evaluation mode. classes: K names. image_shape: (H, W, C). scale: the largest value
    that a pixel had in its data set. mean, std: (C,), of its training images divided by scale.
    """

    def __init__(self, network: nn.ResidualNetwork, about: dict[str, Any]):
        self.network: nn.ResidualNetwork = network
        self.classes: Any = tuple(about["classes"])
        self.image_shape: tuple[int, int, int] = network.image_shape
        self.mean: np.ndarray = np.array(about["mean"], np.float32)
        self.std: np.ndarray = np.array(about["std"], np.float32)
        self.scale: Any = about["scale"]

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        return (
            f"Predictor: images of {height}x{width}x{channels} to {len(self.classes)} classes, "
            f"{nn.count_parameters(self.network):,} parameters"
        )

    def __call__(self, images: Picture | Iterable[Picture] | np.ndarray) -> np.ndarray:
        """Probabilities (N, K), float32, in the order of `classes`.

        images: the path of an image, an image of Pillow's, or several of these, which are turned
        upright, made grey or RGB, resized and cropped to image_shape as in training; or an array
        (N, H, W, C) of uint8 of that shape, with values up to `scale`. Raises ValueError for an
        image that cannot be used and for another shape, TypeError for anything else.
        """
        if isinstance(images, np.ndarray):
            return probabilities(self.logits(images, self.scale))
        if isinstance(images, (str, os.PathLike)) or not isinstance(images, Iterable):
            images = [images]
        return probabilities(self.logits(read_images(images, self.image_shape)))

    def export(self, path: str | os.PathLike[str], **options: Any) -> float | None:
        """Write the network as ONNX. Options, result and errors: as `tinybar.deploy.export`."""
        return export(self, Path(path), **options)

    def logits(self, images: np.ndarray, scale: float = 255.0) -> np.ndarray:
        """(N, K) float32 of uint8 images (N, H, W, C) from 0 to scale: 255 for image files.

        ValueError for another shape, TypeError for another dtype.
        """
        check_array("images", images, np.uint8, "NHWC")
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"the network takes images {self.image_shape}, got {images.shape[1:]}; paths and "
                "images of Pillow's are resized and cropped"
            )
        normalised = Normalised(images, self.mean, self.std, scale)
        found = np.empty((len(images), len(self.classes)), np.float32)
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            x = Tensor(to_device(normalised[part]))
            found[part] = to_numpy(nn.predict(self.network, x).data)
        return found

    def logits_of_files(self, files: list[ImageFile]) -> Iterator[np.ndarray]:
        """The logits of images in files, as one array (n, K) after another."""
        fitting = CHUNK_BYTES // math.prod(self.image_shape)
        chunk = BATCH * min(16, max(1, fitting // BATCH))
        for start in range(0, len(files), chunk):
            part = files[start : start + chunk]
            yield self.logits(decode(part, Fit(*self.image_shape)))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax(logits), (N, K) on the host."""
    with no_grad():
        return softmax(Tensor(logits)).data
