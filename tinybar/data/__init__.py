"""Datasets, normalisation, augmentation and minibatches.

Read in this order: `dataset` (what a dataset is), `augmentation`, `sources` (where they come from,
by name or path), which stands on `idx`, `cifar`, `download`, `folders` and `archives`; `images`
(decoding them, once), which stands on `pixels` and `decoders`; `minibatches`.

Data sets are NumPy arrays on the host; minibatches are where the images are that they are made of,
and all draws are made on the host. Images are channels-last, `(N, H, W, C)`: uint8 as stored,
float32 once normalised.
"""

from .augmentation import NO_AUGMENTATION, Augmentation
from .dataset import Dataset, Split, normalise
from .minibatches import batches, in_order
from .sources import NAMES, load

__all__ = [
    "NAMES",
    "NO_AUGMENTATION",
    "Augmentation",
    "Dataset",
    "Split",
    "batches",
    "in_order",
    "load",
    "normalise",
]
