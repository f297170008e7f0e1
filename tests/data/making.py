"""Small image files, and the folders and archives that hold them."""

import io
import re
import struct
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinybar.data import load
from tinybar.data.files.folders import ImageFile


def noise(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, kind="PNG") -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind)
    return file.getvalue()


def tree(shape=(6, 5, 3), classes=("cat", "dog"), per_class=2, suffix="png") -> dict[str, bytes]:
    """The contents of a data set of image files, by path; no two are equal."""
    folders = [f"{split}/{name}" for split in ("train", "test") for name in classes]
    names = [f"{folder}/{k}.{suffix}" for folder in folders for k in range(per_class)]
    kind = "PNG" if suffix.lower() == "png" else "JPEG"
    return {name: encoded(noise(*shape, seed=k), kind) for k, name in enumerate(names)}


def idx(array: np.ndarray) -> bytes:
    """The array of bytes in MNIST's format."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def in_folder(path: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def in_tar(path: Path, contents: dict[str, bytes], mode="w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def in_zip(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def image_files(folder: Path, *contents: bytes) -> list[ImageFile]:
    """Files 000.png, 001.png, ... of these contents, as a reader lists them."""
    in_folder(folder, {f"{k:03}.png": content for k, content in enumerate(contents)})
    paths = [folder / f"{k:03}.png" for k in range(len(contents))]
    return [ImageFile("train", "a", str(path), path.stat().st_size, 0) for path in paths]


def refused(name, message: str, **options) -> None:
    """load raises a ValueError of one line with this message; " ... " stands for any text."""
    pattern = ".*".join(map(re.escape, message.split(" ... ")))
    with pytest.raises(ValueError, match=pattern) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)


def same(first, second) -> bool:
    """Whether two data sets have the same classes, images and labels."""
    return first.classes == second.classes and all(
        np.array_equal(getattr(one, part), getattr(other, part))
        for one, other in ((first.train, second.train), (first.test, second.test))
        for part in ("images", "labels")
    )


def peak_of(function) -> int:
    """The bytes that Python and NumPy held at most; the function may raise ValueError."""
    tracemalloc.start()
    try:
        with suppress(ValueError):
            function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def flipped(content: bytes, count: int, seed=0):
    """`count` copies of the content, in each of which one bit is another."""
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, 8 * len(content), count):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


def outcome_of(path: Path, content: bytes, read):
    """What `read` makes of the path with that content; None for one line that names the path."""
    path.write_bytes(content)
    try:
        return read(path)
    except ValueError as error:
        if str(path) not in str(error) or "\n" in str(error):
            raise
        return None
