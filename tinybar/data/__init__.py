"""Data sets, augmentation and minibatches.

Read in this order: `dataset` (two splits), `normalisation`, `augmentation`, `minibatches`;
`registry` (`load`, by name or path), `named/` (a module for each data set with a name),
`image_folder` (data sets of image files); `files/` (the readers of file formats).

Data sets are NumPy arrays on the host, or memory maps. Minibatches are on the device of their
images; all random draws are made on the host. Images are channels-last, `(N, H, W, C)`: uint8 as
stored, float32 once normalised.
"""

from . import named  # noqa: F401
from .augmentation import NO_AUGMENTATION, Augmentation
from .dataset import Dataset, Split
from .minibatches import batches, in_order
from .normalisation import Normalised, normalise
from .registry import DATASETS, load, load_test

__all__ = [
    "DATASETS",
    "NO_AUGMENTATION",
    "Augmentation",
    "Dataset",
    "Normalised",
    "Split",
    "batches",
    "in_order",
    "load",
    "load_test",
    "normalise",
]
