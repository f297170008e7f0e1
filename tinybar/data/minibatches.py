"""Minibatches: shuffled for training, in order for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from ..runtime import arrays
from ..runtime.arrays import array_module
from .augmentation import NO_AUGMENTATION, Augmentation
from .checks import check_array, check_int
from .normalisation import Normalised

Batch = tuple[np.ndarray, np.ndarray]


def batches(
    images: np.ndarray | Normalised,
    labels: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
    augmentation: Augmentation = NO_AUGMENTATION,
    first: int = 0,
    part: slice = slice(None),
) -> Iterator[Batch]:
    """One epoch of shuffled minibatches: pairs of images (B, H, W, C) and labels (B,).

    images: (N, H, W, C), `Normalised` or float32, on the host or on the device, where their
    minibatches then are too; labels: (N,).
    first: minibatches that are left out at the beginning, because an interrupted epoch had them.
    Their draws are made and dropped, so the others are those of the whole epoch, bit for bit.
    part: of each minibatch, to be made; what it holds does not depend on which part it is in.
    The last N mod B images of the random order are dropped, since batch norm cannot learn from a
    minibatch of one; they differ from epoch to epoch. If N < B, all images are one minibatch.

    The order is drawn from `rng` at the call, the augmentation of a minibatch up to one minibatch
    early: nothing else may draw from `rng` before the epoch has ended.
    """
    xp = _check(images, labels, batch_size)
    size = min(batch_size, len(images))
    check_int("first", first, least=0)
    if first > len(images) // size:
        raise ValueError(f"first must be at most {len(images) // size} minibatches, got {first}")
    order, labels = xp.asarray(rng.permutation(len(images))), xp.asarray(labels)
    for _ in range(first):
        augmentation.draw(size, rng)

    def generate() -> Iterator[Batch]:
        for start in range(first * size, len(order) - size + 1, size):
            chosen = order[start : start + size][part]
            drawn = (draws[part] for draws in augmentation.draw(size, rng))
            yield augmentation.move(images[chosen], *drawn), labels[chosen]

    # A thread pays for augmentation on the host: a copy is too short, a device works on its own.
    pays = xp is np and augmentation != NO_AUGMENTATION
    return prefetch(generate()) if pays else generate()


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same minibatches, each made by a thread while the caller works on the one before.

    An exception in the thread is raised here, in place of the minibatch. The thread ends with this
    iterator, whether that is exhausted, closed, interrupted or garbage-collected.
    """
    here = arrays.device()  # CuPy's current device is each thread's own
    with ThreadPoolExecutor(1, "batches", arrays.use_device, (here,)) as thread:
        future = thread.submit(next, batches, None)
        while (batch := future.result()) is not None:
            future = thread.submit(next, batches, None)
            yield batch


def in_order(
    images: np.ndarray | Normalised,
    labels: np.ndarray,
    batch_size: int,
    first: int = 0,
    every: int = 1,
) -> Iterator[Batch]:
    """All images in the order in which they are stored; the last minibatch may be smaller.

    images: (N, H, W, C), `Normalised` or float32, whose minibatches are views; labels: (N,).
    first, every: of the minibatches, only these.
    """
    _check(images, labels, batch_size)
    starts = range(first * batch_size, len(images), every * batch_size)
    return ((images[s : s + batch_size], labels[s : s + batch_size]) for s in starts)


def _check(images: np.ndarray | Normalised, labels: np.ndarray, batch_size: int) -> ModuleType:
    """The array module of the images."""
    # Apart from the generators, whose code first runs when the first minibatch is asked for.
    check_int("batch_size", batch_size, least=1)
    stored = images.images if isinstance(images, Normalised) else images
    check_array("images", stored, np.uint8 if stored is not images else np.float32, "NHWC")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels must have shape ({len(images)},), one per image, got {labels.shape}"
        )
    if not len(images):
        raise ValueError("there are no images to make minibatches of")
    return array_module(stored)
