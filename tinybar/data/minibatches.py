"""Minibatches: in random order to train, as stored to evaluate."""

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
    """One epoch in random order: pairs of images (B, H, W, C) and labels (B,).

    images: (N, H, W, C) float32, normalised, on the host or on the device, where their batches
    then are too; labels: (N,).
    The N mod B items at the end of the random order are left out, since batch norm cannot learn
    from a batch of one; they differ from epoch to epoch. If N < B, all items are one batch.

    The order is drawn from `rng` at the call, the augmentation of a batch when it is asked for or,
    where a thread makes it, when the one before is. So `rng` is the epoch's until that has ended.
    """
    _check_items(images, labels, batch_size)
    xp = array_module(images)
    order, labels = xp.asarray(rng.permutation(len(images))), xp.asarray(labels)
    size = min(batch_size, len(images))

    def generate() -> Iterator[Batch]:
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield augmentation.apply(images[chosen], rng), labels[chosen]

    # A thread where there is work for it: a copy is too little, and a device has its own queue.
    has_work = xp is np and augmentation != NO_AUGMENTATION
    return ahead(generate()) if has_work else generate()


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; while the caller works on one, a thread makes the next, and no more.

    What is raised in the thread is raised here, at its turn. The thread ends with this iterator,
    whether it is exhausted, closed, interrupted or forgotten.
    """
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def in_order(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """All items as they are stored, for evaluation; the last batch may be smaller.

    images: (N, H, W, C) float32, normalised; labels: (N,). The batches are views, not copies.
    """
    _check_items(images, labels, batch_size)
    starts = range(0, len(images), batch_size)
    return ((images[s : s + batch_size], labels[s : s + batch_size]) for s in starts)


def _check_items(images: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
    # At the call, not at the first batch: the generators above would otherwise fail late.
    check_int("batch_size", batch_size, least=1)
    check_array("images", images, np.float32, "NHWC")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels must have shape ({len(images)},), one per image, got {labels.shape}"
        )
    if not len(images):
        raise ValueError("there are no images to make batches of")
