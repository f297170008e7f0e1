"""CIFAR-10 and CIFAR-100 in their binary version [Krizhevsky 2009]. Pickles are never read.

An image is a record: its label (of CIFAR-100 the coarse label, then the fine one), 1024 red bytes,
1024 green ones, 1024 blue ones, row by row.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..dataset import Split

SIDE = 32
PIXELS = 3 * SIDE * SIDE


class Layout(NamedTuple):
    """What the archive and its folder are called, and what is in them."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: int  # bytes of a record before its pixels; the last of them is the label
    names: str  # the file that lists the classes


CIFAR10 = Layout(
    "cifar-10-binary.tar.gz",
    "cifar-10-batches-bin",
    tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    ("test_batch.bin",),
    1,
    "batches.meta.txt",
)
CIFAR100 = Layout(
    "cifar-100-binary.tar.gz",
    "cifar-100-binary",
    ("train.bin",),
    ("test.bin",),
    2,
    "fine_label_names.txt",
)


def read(layout: Layout, path: Path) -> tuple[tuple[str, ...], Split, Split]:
    """(classes, train, test) from the archive, or from the folder that it unpacks to.

    Raises ValueError, in one line, for what is missing, truncated or of another format.
    """
    wanted = {*layout.train, *layout.test, layout.names}
    contents = _from_archive(path, wanted) if path.is_file() else _from_folder(path, wanted)
    if missing := sorted(wanted - contents.keys()):
        raise ValueError(f"{path} has no {missing[0]}")
    text = contents[layout.names].decode("utf-8", "replace")
    classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    train, test = (
        _split(path, [(name, contents[name]) for name in names], layout.labels)
        for names in (layout.train, layout.test)
    )
    return classes, train, test


def _from_archive(path: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The contents of the wanted files, by their last name; nothing is written anywhere."""
    contents = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in wanted:
                    contents[name] = archive.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    return contents


def _from_folder(path: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    try:
        return {name: (path / name).read_bytes() for name in wanted if (path / name).is_file()}
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def _split(path: Path, files: list[tuple[str, bytes]], labels: int) -> Split:
    for name, content in files:
        if not content or len(content) % (labels + PIXELS):
            raise ValueError(
                f"{path}: {name} is truncated, {len(content):,} bytes are no whole number of images"
            )
    records = np.frombuffer(b"".join(content for _, content in files), np.uint8)
    records = records.reshape(-1, labels + PIXELS)
    images = records[:, labels:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), records[:, labels - 1].astype(np.int64))
