"""Datasets, normalisation, augmentation and minibatches.

Everything here is NumPy on the host; the trainer moves minibatches to the device.  Images are
channels-last, `(N, H, W, C)`: uint8 as stored, float32 once normalised.

Pillow and the modules that only image folders need are imported where they are used: the
embedded digits load without them, and `import tinybar.data` stays fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

NAMES = ("digits",)  # what `load` knows besides folders
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def _check_int(name: str, value: int, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_array(name: str, array: np.ndarray, dtype: type, axes: str) -> None:
    """`axes` has one letter for each axis, as in "NHWC"; only their number is checked."""
    wanted = f"{name} must be {np.dtype(dtype)} of shape ({', '.join(axes)})"
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{wanted}, got a {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{wanted}, got {array.dtype}")
    if array.ndim != len(axes):
        raise ValueError(f"{wanted}, got shape {array.shape}")


# --- what a dataset is ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)  # eq would compare arrays, whose truth value is ambiguous
class Split:
    """Images with their labels.  images: (N, H, W, C) uint8; labels: (N,) int64.

    Raises TypeError for another dtype, ValueError for other shapes.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        _check_array("images", self.images, np.uint8, "NHWC")
        _check_array("labels", self.labels, np.int64, "N")
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"{len(self.images)} images with {len(self.labels)} labels: "
                "one label per image is needed"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """Random shifts and mirror images, drawn anew for every image.

    pad: pixels of zeros added on each side, from which a crop of the original size is taken at
        random; zero is the mean of normalised images.
    flip: whether to mirror left and right with probability 1/2, after the crop.
    """

    pad: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        _check_int("pad", self.pad, least=0)
        if not isinstance(self.flip, bool):
            raise TypeError(f"flip must be True or False, got {self.flip!r}")

    def apply(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augmented images, same shape and dtype.  images: (N, H, W, C), normalised.

        Without any augmentation the input itself is returned and nothing is drawn from `rng`.
        """
        if images.ndim != 4:
            raise ValueError(f"images must be (N, H, W, C), got shape {images.shape}")
        if self == NO_AUGMENTATION:
            return images
        n, height, width, _ = images.shape
        p = self.pad
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        # Which row and column of `padded` each output pixel reads: crop and flip are one gather.
        top, left = rng.integers(0, 2 * p + 1, size=(2, n, 1))
        rows, columns = top + np.arange(height), left + np.arange(width)
        if self.flip:
            mirrored = rng.random((n, 1)) < 0.5
            columns = np.where(mirrored, columns[:, ::-1], columns)
        image = np.arange(n)[:, None, None]
        return padded[image, rows[:, :, None], columns[:, None, :]]


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification problem: two splits and what is needed to feed them to a network.

    classes: K names; label k means classes[k].
    mean, std: (C,) float32, of the training pixels after division by `scale`.
    scale: the largest value a pixel can take (255, or 16 for the digits).
    augmentation: the one to train with by default.

    Raises TypeError or ValueError, in one line, unless all of this is consistent, both splits have
    images, and every class has a training image.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    mean: np.ndarray
    std: np.ndarray
    augmentation: Augmentation = NO_AUGMENTATION
    scale: float = 255.0

    def __post_init__(self) -> None:
        _check_classes(self.classes)
        for part, split in (("train", self.train), ("test", self.test)):
            _check_split(part, split, len(self.classes), self.scale)
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError(
                f"train images are {self.train.images.shape[1:]} but test images are "
                f"{self.test.images.shape[1:]}: (H, W, C) must agree"
            )
        counts = np.bincount(self.train.labels, minlength=self.num_classes)
        if not counts.all():
            empty = [name for name, n in zip(self.classes, counts, strict=True) if n == 0]
            raise ValueError(f"classes without a training image: {', '.join(empty)}")
        _check_statistics(self.mean, self.std, self.image_shape[-1])
        if not isinstance(self.augmentation, Augmentation):
            raise TypeError(f"augmentation must be an Augmentation, got {self.augmentation!r}")
        if self.augmentation.pad >= min(self.image_shape[:2]):
            # Such a crop could miss the image altogether.
            raise ValueError(
                f"augmentation pad {self.augmentation.pad} must be smaller than the "
                f"images, which are {self.image_shape}"
            )

    @classmethod
    def from_splits(
        cls,
        name: str,
        classes: tuple[str, ...],
        train: Split,
        test: Split,
        *,
        augmentation: Augmentation = NO_AUGMENTATION,
        scale: float = 255.0,
    ) -> Dataset:
        """A dataset whose mean and std are measured on the training images."""
        _check_split("train", train, len(classes), scale)
        mean, std = channel_statistics(train.images, scale)
        return cls(name, classes, train, test, mean, std, augmentation, scale)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.train.images.shape[1:]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """(images / scale - mean) / std, float32.  images: (N, H, W, C) uint8 of this dataset."""
        _check_array("images", images, np.uint8, "NHWC")
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images are {images.shape[1:]}, dataset {self.name!r} has "
                f"{self.image_shape}: (H, W, C) must agree"
            )
        # One long row per image: broadcasting over the short channel axis would be slow.
        pixels = images.shape[1] * images.shape[2]
        rows = images.reshape(len(images), -1).astype(np.float32)
        rows *= np.tile(1 / (self.scale * self.std), pixels).astype(np.float32)
        rows -= np.tile(self.mean / self.std, pixels)
        return rows.reshape(images.shape)


def channel_statistics(images: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of images / scale, per channel, each (C,) float32.

    images: (N, H, W, C) uint8.  The deviation is the population's (divided by the number of
    pixels).  A constant channel gets 1 instead of 0, so that it normalises to zeros.
    """
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), 1024):  # in pieces: bincount works on 8-byte copies
        for channel, count in enumerate(counts):
            values = images[start : start + 1024, ..., channel].ravel()
            count += np.bincount(values, minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256) / scale
    mean = share @ levels
    std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
    return mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _check_classes(classes: tuple[str, ...]) -> None:
    if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a tuple of strings, got {classes!r}")
    if len(classes) < 2:
        raise ValueError(f"at least two classes are needed, got {classes!r}")
    if len(set(classes)) != len(classes):
        raise ValueError(f"class names must differ, got {classes!r}")


def _check_split(part: str, split: Split, num_classes: int, scale: float) -> None:
    if not isinstance(split, Split):
        raise TypeError(f"{part} must be a Split, got a {type(split).__name__}")
    if not split.images.size:
        raise ValueError(f"{part} split is empty: its images have shape {split.images.shape}")
    least, most = split.labels.min(), split.labels.max()
    if least < 0 or most >= num_classes:
        raise ValueError(
            f"labels out of range: {part} has {least}..{most}, "
            f"{num_classes} classes allow 0..{num_classes - 1}"
        )
    if not 0 < scale <= 255:
        raise ValueError(f"scale must be in (0, 255], got {scale}")
    if scale < 255 and split.images.max() > scale:
        raise ValueError(f"{part} images reach {split.images.max()}, above scale {scale}")


def _check_statistics(mean: np.ndarray, std: np.ndarray, channels: int) -> None:
    for name, array in (("mean", mean), ("std", std)):
        _check_array(name, array, np.float32, "C")
        if array.shape != (channels,):
            raise ValueError(
                f"{name} must have one value for each of the {channels} channels, "
                f"got shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got {array}")
    if not (std > 0).all():
        raise ValueError(f"std must be positive, got {std}")


# --- where datasets come from --------------------------------------------------------------------


def load(name: str | os.PathLike[str], *, cache_dir: Path | None = None) -> Dataset:
    """The dataset of that name, or the one in that folder.

    name: "digits" (embedded), or the path of a folder that holds `train/CLASS/*.jpg` and
        `test/CLASS/*.jpg` (or .jpeg, .png).  A folder that is called digits is `./digits`.
    cache_dir: where the decoded images of a folder are kept, and found again as long as no image
        file changes.  The images then are a read-only memory map.  None: no cache.

    The classes of a folder are sorted by name, and names that begin with a dot are ignored.
    Images must all be of one size, 8 bits per value, grey or RGB (one image in colour makes all of
    them RGB); transparency is dropped, EXIF rotation is not applied.  Images of 28 pixels or more
    are augmented by default with a pad of 4 and flips.

    Raises ValueError, in one line, for an unknown name and for a folder or image at fault.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"a dataset's name must be a string or a path, got {name!r}")
    if name == "digits":
        return _load_digits()
    if name and Path(name).is_dir():
        return _load_folder(Path(name), cache_dir)
    raise ValueError(
        f"unknown dataset {os.fspath(name)!r}: known names are {', '.join(NAMES)}; "
        "the path of a folder with train/CLASS/*.png and test/CLASS/*.png works too"
    )


def _load_digits() -> Dataset:
    """The 8x8 digits; data/README.md tells their origin and how they were split."""
    with np.load(_digits_path(), allow_pickle=False) as stored:
        images = stored["images"][..., None]
        labels = stored["labels"].astype(np.int64)
        train, test = (
            Split(images[stored[part]], labels[stored[part]]) for part in ("train", "test")
        )
    return Dataset.from_splits("digits", tuple("0123456789"), train, test, scale=16.0)


def _digits_path() -> Path:
    """digits.npz: inside the package in an installed wheel, in data/ in a source checkout."""
    package = Path(__file__).resolve().parent
    candidates = package / "_data" / "digits.npz", package.parent / "data" / "digits.npz"
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"the embedded digits are missing: neither {candidates[0]} nor "
        f"{candidates[1]} exists; reinstall tinybar"
    )


class _ImageFile(NamedTuple):
    path: str
    label: int
    size: int  # bytes
    mtime_ns: int


def _load_folder(folder: Path, cache_dir: Path | None) -> Dataset:
    classes, train_files = _list_split(folder, "train")
    test_classes, test_files = _list_split(folder, "test")
    if classes != test_classes:
        only = [
            f"only in {part}: {', '.join(sorted(names))}"
            for part, names in (
                ("train", set(classes) - set(test_classes)),
                ("test", set(test_classes) - set(classes)),
            )
            if names
        ]
        raise ValueError(
            f"train and test of {str(folder)!r} must have the same classes; " + "; ".join(only)
        )
    # Both splits are decoded together, because one image in colour makes all of them RGB.
    files = train_files + test_files
    images = _images(folder, files, cache_dir)
    labels = np.array([file.label for file in files], np.int64)
    n = len(train_files)
    augmentation = Augmentation(4, True) if min(images.shape[1:3]) >= 28 else NO_AUGMENTATION
    return Dataset.from_splits(
        folder.resolve().name,
        classes,
        Split(images[:n], labels[:n]),
        Split(images[n:], labels[n:]),
        augmentation=augmentation,
    )


def _list_split(folder: Path, part: str) -> tuple[tuple[str, ...], list[_ImageFile]]:
    """The class names and image files under folder/part, both sorted."""
    root = folder / part
    if not root.is_dir():
        raise ValueError(
            f"{str(folder)!r} has no folder {part!r}: "
            "train/CLASS/*.png and test/CLASS/*.png are expected"
        )
    classes = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not classes:
        raise ValueError(f"{str(root)!r} has no class folders: one folder per class is expected")
    files: list[_ImageFile] = []
    for label, name in enumerate(classes):
        found = [
            _ImageFile(entry.path, label, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in os.scandir(root / name)
            if entry.name.lower().endswith(IMAGE_SUFFIXES)
            and not entry.name.startswith(".")
            and entry.is_file()
        ]
        if not found:
            raise ValueError(
                f"class folder {str(root / name)!r} has no images ({', '.join(IMAGE_SUFFIXES)})"
            )
        files += sorted(found)
    return tuple(classes), files


# --- decoding, once ------------------------------------------------------------------------------


def _images(folder: Path, files: list[_ImageFile], cache_dir: Path | None) -> np.ndarray:
    """The pixels of all files, (N, H, W, C) uint8, through the cache if there is one."""
    if cache_dir is None:
        return _decode_all(files)
    cached = Path(cache_dir) / f"{folder.resolve().name}-{_fingerprint(folder, files)}.npy"
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        images = _read_cache(cached, len(files))
        if images is None:
            _write_cache(cached, _decode_all(files))
            images = _read_cache(cached, len(files))
    except OSError as error:
        raise ValueError(f"cannot keep decoded images in {str(cache_dir)!r}: {error}") from error
    if images is None:
        raise ValueError(f"the cache {str(cached)!r} cannot be read back after writing it")
    return images


def _fingerprint(folder: Path, files: list[_ImageFile]) -> str:
    """Changes whenever a file is added, removed, renamed, resized or touched."""
    import hashlib

    # fsencode, because a file's name need not be valid Unicode; NUL occurs in no path.
    lines = [os.fsencode(folder.resolve())]
    lines += [
        b"%s\0%d\0%d" % (os.fsencode(os.path.relpath(file.path, folder)), file.size, file.mtime_ns)
        for file in files
    ]
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:24]


def _read_cache(path: Path, count: int) -> np.ndarray | None:
    """A read-only memory map of (count, H, W, C) uint8, or None if there is no such file."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    except FileNotFoundError:
        return None
    except (ValueError, EOFError):  # not ours, or cut short by a crash: decode again
        return None
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != count:
        return None
    return np.asarray(images)


def _write_cache(path: Path, images: np.ndarray) -> None:
    """Under a temporary name first: another process sees the whole file or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            np.save(file, images, allow_pickle=False)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _decode_all(files: list[_ImageFile]) -> np.ndarray:
    """(N, H, W, C) uint8 on all cores; C is 1 if every image is grey, else 3.

    Raises ValueError that names the first file, in the order given, that cannot be used.
    """
    import warnings
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from PIL import Image

    for file in files:
        if file.size == 0:
            raise ValueError(f"image {file.path!r} is empty (0 bytes)")
    with warnings.catch_warnings(), ThreadPoolExecutor(_usable_cores()) as pool:
        # Between its two limits Pillow only warns of a decompression bomb: refuse it as well.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with _open_image(files[0].path) as image:
            (width, height), grey = image.size, _is_grey(image)
        for channels in (1, 3) if grey else (3,):
            images = np.empty((len(files), height, width, channels), np.uint8)
            if all(pool.map(partial(_decode, files, images), range(len(files)))):
                break  # else: some image is in colour, so all become RGB
    return images


def _usable_cores() -> int:
    """Cores this process may run on, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _decode(files: list[_ImageFile], images: np.ndarray, i: int) -> bool:
    """Decode files[i] into images[i].  images: (N, H, W, C) uint8.

    Returns False, with nothing written, if that image is in colour but C is 1.
    """
    _, height, width, channels = images.shape
    path = files[i].path
    with _open_image(path) as image:
        if image.size != (width, height):
            raise ValueError(
                f"images must be of one size: {path!r} is {image.width}x{image.height}, but "
                f"{files[0].path!r} is {width}x{height} (width x height)"
            )
        if channels == 1 and not _is_grey(image):
            return False
        images[i] = _pixels(image, path, channels)
    return True


def _open_image(path: str) -> Image:
    """Reads only the header.  Other formats than JPEG and PNG are refused, whatever the suffix."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(path, formats=("JPEG", "PNG"))
    except UnidentifiedImageError as error:
        raise ValueError(f"image {path!r} is not a readable JPEG or PNG file") from error
    except Exception as error:  # whatever Pillow met, it is this file that cannot be used
        raise ValueError(f"cannot open image {path!r}: {error}") from error
    if image.mode not in _GREY_MODES + _COLOUR_MODES:
        image.close()
        raise ValueError(
            f"image {path!r} has mode {image.mode}: 8 bits per value, grey or colour, are expected"
        )
    return image


_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


def _is_grey(image: Image) -> bool:
    return image.mode in _GREY_MODES


def _pixels(image: Image, path: str, channels: int) -> np.ndarray:
    """(H, W, channels) uint8."""
    try:
        if image.mode == "P":  # directly to RGB, Pillow warns about transparent palettes
            image = image.convert("RGBA")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # truncated or corrupt data ends in many kinds of errors
        raise ValueError(f"cannot decode image {path!r}: {error}") from error
    return pixels.reshape(image.height, image.width, channels)


# --- minibatches ---------------------------------------------------------------------------------

Batch = tuple[np.ndarray, np.ndarray]


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
    augmentation: Augmentation = NO_AUGMENTATION,
) -> Iterator[Batch]:
    """One epoch in random order: pairs of images (B, H, W, C) and labels (B,).

    images: (N, H, W, C) float32, normalised; labels: (N,).
    The N mod B items at the end of the random order are left out, since batch norm cannot learn
    from a batch of one; they differ from epoch to epoch.  If N < B, all items are one batch.

    The order is drawn from `rng` at the call, the augmentation of a batch when it is asked for.
    """
    _check_items(images, labels, batch_size)
    order = rng.permutation(len(images))
    size = min(batch_size, len(images))

    def generate() -> Iterator[Batch]:
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield augmentation.apply(images[chosen], rng), labels[chosen]

    return generate()


def in_order(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """All items as they are stored, for evaluation; the last batch may be smaller.

    images: (N, H, W, C) float32, normalised; labels: (N,).  The batches are views, not copies.
    """
    _check_items(images, labels, batch_size)
    starts = range(0, len(images), batch_size)
    return ((images[s : s + batch_size], labels[s : s + batch_size]) for s in starts)


def _check_items(images: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
    # At the call, not at the first batch: the generators above would otherwise fail late.
    _check_int("batch_size", batch_size, least=1)
    _check_array("images", images, np.float32, "NHWC")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels must have shape ({len(images)},), one per image, got {labels.shape}"
        )
    if not len(images):
        raise ValueError("there are no images to make batches of")
