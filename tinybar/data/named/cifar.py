"""CIFAR-10 and CIFAR-100 in their binary version [Krizhevsky 2009]. Pickles are never read.

An image is a record: its label (for CIFAR-100 the coarse label, then the fine one), 1024 red
bytes, 1024 green, 1024 blue, row by row.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...runtime.files import FileError, reading
from ..augmentation import STANDARD
from ..dataset import Dataset, Split
from ..files import archives
from ..files.download import RemoteFile, find_or_download
from ..image_folder import ImageOptions
from ..registry import dataset

URL = "https://www.cs.toronto.edu/~kriz/"
SIDE = 32
PIXELS = 3 * SIDE * SIDE


class Layout(NamedTuple):
    """The archive, the folder that it unpacks to, and the files in it."""

    archive: str
    md5: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: str  # the file that lists them
    label_bytes: int  # per record; the last of them is the label


CIFAR10 = Layout(
    "cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-batches-bin",
    tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    ("test_batch.bin",),
    "batches.meta.txt",
    1,
)
CIFAR100 = Layout(
    "cifar-100-binary.tar.gz",
    "03b5dce01913d631647c71ecec9e9cb8",
    "cifar-100-binary",
    ("train.bin",),
    ("test.bin",),
    "fine_label_names.txt",
    2,
)


@dataset("cifar10")
def cifar10(data_dir: Path, options: ImageOptions) -> Dataset:
    """50,000 training and 10,000 test images, 32x32, in 10 classes."""
    return _load("cifar10", CIFAR10, data_dir)


@dataset("cifar100")
def cifar100(data_dir: Path, options: ImageOptions) -> Dataset:
    """50,000 training and 10,000 test images, 32x32, in the 100 fine classes."""
    return _load("cifar100", CIFAR100, data_dir)


def _load(name: str, layout: Layout, data_dir: Path) -> Dataset:
    path = _find(layout, [data_dir / name, data_dir])
    wanted = {*layout.train, *layout.test, layout.classes}
    contents = _read(path, wanted)
    if missing := sorted(wanted - contents.keys()):
        raise FileError(f"{path} has no {missing[0]}")
    text = contents[layout.classes].decode("utf-8", "replace")
    classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    train, test = (
        _split(path, {file: contents[file] for file in files}, layout.label_bytes, len(classes))
        for files in (layout.train, layout.test)
    )
    with reading(path / layout.classes):
        return Dataset(name, classes, train, test, STANDARD)


def _find(layout: Layout, folders: list[Path]) -> Path:
    """The unpacked files, in layout.folder or in the first folder itself, or else the archive."""
    for path in [*(folder / layout.folder for folder in folders), folders[0]]:
        if (path / layout.classes).is_file():
            return path
    return find_or_download(RemoteFile(URL + layout.archive, layout.md5), folders)


def _read(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """The contents of the wanted files in the archive or folder, by name."""
    if path.is_dir():
        found = [path / name for name in wanted if (path / name).is_file()]
        with reading(path):
            return {file.name: file.read_bytes() for file in found}
    contents, folders = {}, set()
    for entry in archives.entries(path):
        folder, _, name = entry.name.rpartition("/")
        if entry.is_file and name in wanted:
            contents[name] = entry.read()
            folders.add(folder)
    if len(folders) > 1:
        raise FileError(f"the archive {path} holds several data sets: in {sorted(folders)}")
    return contents


def _split(path: Path, files: dict[str, bytes], label_bytes: int, classes: int) -> Split:
    for name, content in files.items():
        record = label_bytes + PIXELS
        if not content or len(content) % record:
            raise FileError(
                f"{path}: {name} is truncated: {len(content):,} bytes, expected a multiple of "
                f"{record:,}"
            )
        if (most := max(content[label_bytes - 1 :: record])) >= classes:
            raise FileError(f"{path}: {name} has label {most}, and there are {classes} classes")
    records = np.frombuffer(b"".join(files.values()), np.uint8)
    records = records.reshape(-1, label_bytes + PIXELS)
    images = records[:, label_bytes:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), records[:, label_bytes - 1].astype(np.int64))
