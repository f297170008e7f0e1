"""A data set: splits of labelled images, and their normalisation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .augmentation import NO_AUGMENTATION, Augmentation
from .checks import check_array
from .normalisation import Normalised, channel_statistics, normalise

SHOWN_IN_A_LINE, SHOWN_IN_A_TABLE = 12, 100  # classes


@dataclass(frozen=True, eq=False)  # eq would compare arrays, whose truth value is ambiguous
class Split:
    """Images with their labels. images: (N, H, W, C) uint8; labels: (N,) int64.

    Raises TypeError for another dtype, ValueError for another shape and for an empty split.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        check_array("images", self.images, np.uint8, "NHWC")
        check_array("labels", self.labels, np.int64, "N")
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"{len(self.images)} images with {len(self.labels)} labels: expected one label per "
                "image"
            )
        if not self.images.size:
            raise ValueError(f"a split needs images, got shape {self.images.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self):,} images of shape {self.images.shape[1:]})"

    def subset(self, indices: np.ndarray | slice) -> Split:
        """The images at these indices."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification problem.

    classes: K names; label k means classes[k].
    augmentation: applied to training images by default.
    scale: the largest value that a pixel can have (255, or 16 for the digits).
    val: training images held out for validation, or None.
    notes: what a user should be told about the files, a line each.
    statistics: (mean, std), (C,) each, for a network that was trained on other images; None for
        those of the training images.

    Raises TypeError or ValueError unless the splits agree in image shape and number of classes,
    and every class has a training image.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    augmentation: Augmentation = NO_AUGMENTATION
    scale: float = 255.0
    val: Split | None = None
    notes: tuple[str, ...] = ()
    statistics: tuple[Sequence[float], Sequence[float]] | None = None

    def __post_init__(self) -> None:
        _check_classes(self.classes)
        if not 0 < self.scale <= 255:
            raise ValueError(f"scale must be in (0, 255], got {self.scale}")
        self._check_split("train", self.train)
        self._check_split("test", self.test)
        if self.val is not None:
            self._check_split("val", self.val)
        counts = np.bincount(self.train.labels, minlength=self.num_classes)
        if not counts.all():
            empty = [name for name, n in zip(self.classes, counts, strict=True) if n == 0]
            raise ValueError(f"classes without a training image: {', '.join(empty)}")
        if not isinstance(self.augmentation, Augmentation):
            raise TypeError(f"augmentation must be an Augmentation, got {self.augmentation!r}")
        if self.augmentation.pad >= min(self.image_shape[:2]):  # a crop could be all padding
            raise ValueError(
                f"augmentation pad {self.augmentation.pad} must be smaller than the "
                f"images, which are {self.image_shape}"
            )

    def splits(self) -> dict[str, Split]:
        """The splits that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def counts(self) -> dict[str, list[int]]:
        """Of each split, the number of images of each class."""
        return {
            name: np.bincount(split.labels, minlength=self.num_classes).tolist()
            for name, split in self.splits().items()
        }

    def __repr__(self) -> str:
        """Name, number of classes and shape of the images; of each split, the counts."""
        lines = [self._title()]
        for name, counts in self.counts().items():
            told = f"{min(counts):,} to {max(counts):,} of a class"
            if len(counts) <= SHOWN_IN_A_LINE:
                told = ", ".join(f"{c} {n:,}" for c, n in zip(self.classes, counts, strict=True))
            lines.append(f"  {name}: {sum(counts):,} images ({told})")
        return "\n".join(lines)

    def _title(self) -> str:
        return f"Dataset {self.name!r}: {self.num_classes} classes, images {self.image_shape}"

    def _repr_html_(self) -> str:
        """For a notebook: a table of the counts, a row for each class."""
        import html

        counts = self.counts()
        rows = [("", *counts), ("all", *map(sum, counts.values()))]
        rows += list(zip(self.classes, *counts.values(), strict=True))[:SHOWN_IN_A_TABLE]
        if self.num_classes > SHOWN_IN_A_TABLE:
            rows.append(("...", *("" for _ in counts)))
        cells = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
        table = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<div>{html.escape(self._title())}</div><table>{table}</table>"

    def _check_split(self, name: str, split: Split) -> None:
        if not isinstance(split, Split):
            raise TypeError(f"{name} must be a Split, got a {type(split).__name__}")
        self._check_shape(f"{name} images", split.images)
        least, most = split.labels.min(), split.labels.max()
        if least < 0 or most >= self.num_classes:
            raise ValueError(
                f"labels out of range: {name} has {least}..{most}, "
                f"{self.num_classes} classes allow 0..{self.num_classes - 1}"
            )
        if self.scale < 255 and split.images.max() > self.scale:
            raise ValueError(f"{name} images reach {split.images.max()}, above scale {self.scale}")

    def _check_shape(self, name: str, images: np.ndarray) -> None:
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"{name} are {images.shape[1:]}, but the training images of {self.name!r} are "
                f"{self.image_shape}: (H, W, C) must agree"
            )

    def with_validation(self, fraction: float, seed: int = 0) -> Dataset:
        """The data set with a fraction of every class's training images held out as `val`.

        The number is rounded, but at least one image of a class is held out and at least one stays.
        Raises ValueError for a fraction outside [0, 1), and for a class with a single image.
        """
        if not 0 <= fraction < 1:
            raise ValueError(f"--val-fraction must be in [0, 1), got {fraction}")
        if fraction == 0:
            return self
        rng = np.random.default_rng(seed)
        chosen: list[np.ndarray] = []
        for label, name in enumerate(self.classes):
            members = np.flatnonzero(self.train.labels == label)
            if len(members) < 2:
                raise ValueError(f"class {name!r} has one training image: none can be held out")
            count = min(max(1, round(fraction * len(members))), len(members) - 1)
            chosen.append(rng.choice(members, count, replace=False))
        held_out = np.sort(np.concatenate(chosen))
        remaining = np.setdiff1d(np.arange(len(self.train)), held_out)
        return replace(self, train=self.train.subset(remaining), val=self.train.subset(held_out))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def mean(self) -> np.ndarray:
        """The mean of the images divided by `scale`, per channel: (C,) float32."""
        return self._statistics[0]

    @property
    def std(self) -> np.ndarray:
        """Their standard deviation, (C,) float32; 1 for a constant channel."""
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        if self.statistics is None:
            return channel_statistics(self.train.images, self.scale)
        mean, std = np.asarray(self.statistics, np.float32)
        return mean, std

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """(images / scale - mean) / std, float32. images: (N, H, W, C) uint8 of this data set."""
        check_array("images", images, np.uint8, "NHWC")
        self._check_shape("images", images)
        return normalise(images, self.mean, self.std, self.scale)

    def normalised(self, images: np.ndarray) -> Normalised:
        """The same for images on the host or the device, computed for those that are asked for."""
        return Normalised(images, self.mean, self.std, self.scale)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the classes, the scale, and all labels and pixels of all splits.

        Neither the name of the data set nor the place of its files is a part of it.
        """
        facts = self.classes, float(self.scale), self.image_shape
        digest = hashlib.sha256(json.dumps(facts).encode())
        for split in filter(None, (self.train, self.test, self.val)):
            digest.update(len(split).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(split.labels, "<i8").data)
            for start in range(0, len(split), 1024):  # in pieces: those of a view are copied
                digest.update(np.ascontiguousarray(split.images[start : start + 1024]).data)
        return digest.hexdigest()


def _check_classes(classes: tuple[str, ...]) -> None:
    if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a tuple of strings, got {classes!r}")
    if len(classes) < 2:
        raise ValueError(f"at least two classes are needed, got {classes!r}")
    if len(set(classes)) != len(classes):
        raise ValueError(f"class names must differ, got {classes!r}")
