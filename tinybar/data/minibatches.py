"""Minibatches: shuffled for training, in order for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..runtime.arrays import array_module
from .augmentation import NO_AUGMENTATION, Augmentation
from .checks import check_array, check_int

Batch = tuple[np.ndarray, np.ndarray]


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
    augmentation: Augmentation = NO_AUGMENTATION,
) -> Iterator[Batch]:
    """One epoch of shuffled minibatches: pairs of images (B, H, W, C) and labels (B,).

    images: (N, H, W, C) float32, normalised, on the host or on the device, where their minibatches
    then are too; labels: (N,).
    The last N mod B images of the random order are dropped, since batch norm cannot learn from a
    minibatch of one; they differ from epoch to epoch. If N < B, all images are one minibatch.

    The order is drawn from `rng` at the call, the augmentation of a minibatch up to one minibatch
    early: nothing else may draw from `rng` before the epoch has ended.
    """
    _check(images, labels, batch_size)
    xp = array_module(images)
    order, labels = xp.asarray(rng.permutation(len(images))), xp.asarray(labels)
    size = min(batch_size, len(images))

    def generate() -> Iterator[Batch]:
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield augmentation.apply(images[chosen], rng), labels[chosen]

    # A thread pays for augmentation on the host: a copy is too short, a device works on its own.
    pays = xp is np and augmentation != NO_AUGMENTATION
    return prefetch(generate()) if pays else generate()


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same minibatches, each made by a thread while the caller works on the one before.

    An exception in the thread is raised here, in place of the minibatch. The thread ends with this
    iterator, whether that is exhausted, closed, interrupted or garbage-collected.
    """
    with ThreadPoolExecutor(1, "batches") as thread:
        future = thread.submit(next, batches, None)
        while (batch := future.result()) is not None:
            future = thread.submit(next, batches, None)
            yield batch


def in_order(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """All images in the order in which they are stored; the last minibatch may be smaller.

    images: (N, H, W, C) float32, normalised; labels: (N,). Minibatches are views, not copies.
    """
    _check(images, labels, batch_size)
    starts = range(0, len(images), batch_size)
    return ((images[s : s + batch_size], labels[s : s + batch_size]) for s in starts)


def _check(images: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
    # Apart from the generators, whose code first runs when the first minibatch is asked for.
    check_int("batch_size", batch_size, least=1)
    check_array("images", images, np.float32, "NHWC")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels must have shape ({len(images)},), one per image, got {labels.shape}"
        )
    if not len(images):
        raise ValueError("there are no images to make minibatches of")
