"""What several benchmarks share."""

from __future__ import annotations

from dataclasses import replace

from tinybar.data import Dataset, Split


def first(dataset: Dataset, train: int, test: int) -> Dataset:
    """The data set of its first images only."""
    counts = {"train": train, "test": test}
    return replace(
        dataset, **{part: _first(getattr(dataset, part), n) for part, n in counts.items()}
    )


def _first(split: Split, n: int) -> Split:
    return Split(split.images[:n], split.labels[:n])
