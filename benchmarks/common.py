"""What several benchmarks share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinybar.data import Dataset


def first(dataset: Dataset, train: int, test: int) -> Dataset:
    """The data set of its first images only."""
    parts = dataset.train.subset(np.arange(train)), dataset.test.subset(np.arange(test))
    return replace(dataset, train=parts[0], test=parts[1])
