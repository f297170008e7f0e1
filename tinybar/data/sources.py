"""Where datasets come from: by name, from a folder of images, from an archive of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .augmentation import NO_AUGMENTATION, Augmentation
from .dataset import Dataset, Split
from .files import archives, cifar, folders, idx
from .files.download import Remote, find_or_fetch
from .files.images import Contents, ImageFile, read_images

DATA_DIR = Path("data/cache")  # where files are looked for, fetched to, and kept decoded
STANDARD = Augmentation(4, True)  # of photographs [He et al. 2016a]; of digits no mirror images
DIGITS = tuple("0123456789")


def load(
    name: str | os.PathLike[str],
    *,
    cache_dir: Path | None = None,
    image_size: int | None = None,
    val_fraction: float = 0.0,
    augment: bool = True,
    seed: int = 0,
) -> Dataset:
    """The dataset of that name, or the one in that folder or archive.

    name: one of `NAMES`, or the path of a folder, zip or tar archive that holds
        `train/CLASS/*.jpg` and `test/CLASS/*.jpg` (or .jpeg, .png). A folder that is called digits
        is `./digits`.
    cache_dir: where the files of the named ones are, or are fetched to, below a folder of their
        name (None: data/cache), and where decoded images are kept and found again as long as no
        image file changes: they then are a read-only memory map. None: images are not kept.
    image_size: side of the square that every image is resized and cut to; for folders and archives.
    val_fraction: share of the training images, of every class, that is held out for validation,
        drawn with `seed`.
    augment: whether to train with the set's standard augmentation.

    The classes of a folder are sorted by name, and names that begin with a dot are ignored. Images
    are 8 bits per value, grey or RGB (one in colour makes all of them RGB), and of one size unless
    image_size is given; transparency is dropped, EXIF rotation is not applied. Images of 28 pixels
    or more are augmented by default with a pad of 4 and flips.

    Raises ValueError, in one line, for an unknown name and for a folder or file at fault.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"a dataset's name must be a string or a path, got {name!r}")
    if image_size is not None and image_size < 1:
        raise ValueError(f"--image-size must be at least 1, got {image_size}")
    images = {"cache_dir": cache_dir, "image_size": image_size}
    if name in NAMES:
        if image_size is not None and name != "mio-tcd":
            raise ValueError(f"--image-size is for images in files: {name} has a size of its own")
        dataset = NAMES[name](Path(cache_dir or DATA_DIR), images)
    elif os.path.isdir(name):  # False, where Path.is_dir raises: no permission, a name too long
        folder = Path(name)
        dataset = _of_images(folder, folders.list_images(folder, ("train", "test")), **images)
    elif archives.is_archive(Path(name)):
        dataset = _of_archive(Path(name), **images)
    else:
        raise ValueError(
            f"unknown dataset {os.fspath(name)!r}: it is neither a known name ({', '.join(NAMES)}) "
            f"nor a folder or archive that exists, with {folders.EXPECTED}"
        )
    if not augment:
        dataset = replace(dataset, augmentation=NO_AUGMENTATION)
    return dataset.with_validation(val_fraction, seed)


# --- by name -------------------------------------------------------------------------------------


def _digits(_data_dir: Path, _images: dict) -> Dataset:
    """The 8x8 digits; data/README.md tells their origin and how they were split."""
    with np.load(_digits_path(), allow_pickle=False) as stored:
        images = stored["images"][..., None]
        labels = stored["labels"].astype(np.int64)
        train, test = (
            Split(images[stored[part]], labels[stored[part]]) for part in ("train", "test")
        )
    return Dataset("digits", DIGITS, train, test, scale=16.0)


def _digits_path() -> Path:
    """digits.npz: inside the package in an installed wheel, in data/ in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    candidates = package / "_data" / "digits.npz", package.parent / "data" / "digits.npz"
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"the embedded digits are missing: neither {candidates[0]} nor "
        f"{candidates[1]} exists; reinstall tinybar"
    )


def _idx(
    name: str,
    classes: tuple[str, ...],
    augmentation: Augmentation,
    url: str,
    md5: dict[str, str],
    installed: list[Path],
    data_dir: Path,
    _images: dict,
) -> Dataset:
    """MNIST and its like. installed: where a package of the system may have put the files."""
    places = [data_dir / name, data_dir, *installed]
    paths = {part: find_or_fetch(Remote(url + part, md5[part]), places) for part in md5}
    train, test = (
        idx.read_split(paths[f"{part}-images-idx3-ubyte.gz"], paths[f"{part}-labels-idx1-ubyte.gz"])
        for part in ("train", "t10k")
    )
    return Dataset(name, classes, train, test, augmentation)


def _cifar(name: str, layout: cifar.Layout, md5: str, data_dir: Path, _images: dict) -> Dataset:
    """The binary version, from its archive or from the folder that it unpacks to."""
    places = [data_dir / name, data_dir]
    unpacked = [place / layout.folder for place in places] + places[:1]
    path = next((place for place in unpacked if (place / layout.names).is_file()), None)
    if path is None:
        url = f"https://www.cs.toronto.edu/~kriz/{layout.archive}"
        path = find_or_fetch(Remote(url, md5), places)
    classes, train, test = cifar.read(layout, path)
    return Dataset(name, classes, train, test, STANDARD)


def _mio_tcd(data_dir: Path, images: dict) -> Dataset:
    """MIO-TCD's classification set, whose test labels are not public: a tenth is held out as test.

    128x128 unless another size is asked for (Section 5.1). It is not fetched: no checksum of it is
    known here.
    """
    source = data_dir / "mio-tcd"
    if not (source / "train").is_dir():
        raise ValueError(
            f"put the classification set of MIO-TCD (MIO-TCD-Classification.tar, from "
            f"tcd.miovision.com) unpacked into {str(source)!r}, as train/CLASS/*.jpg"
        )
    listed = folders.list_images(source, ("train",))
    rng = np.random.default_rng(0)  # the same split in every run
    held_out = set()
    for label in sorted({label for _, label, _ in listed}):
        members = [k for k, (_, name, _) in enumerate(listed) if name == label]
        chosen = rng.permutation(len(members))[: max(1, len(members) // 10)]
        held_out |= {members[k] for k in chosen}
    split = [("test" if k in held_out else part, *rest) for k, (part, *rest) in enumerate(listed)]
    return _of_images(source, sorted(split), **images | {"image_size": images["image_size"] or 128})


NAMES: dict[str, Callable[[Path, dict], Dataset]] = {
    "digits": _digits,
    "mnist": partial(
        _idx,
        "mnist",
        DIGITS,
        Augmentation(4, flip=False),
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        [],
    ),
    "fashion-mnist": partial(
        _idx,
        "fashion-mnist",
        (
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        STANDARD,  # a mirrored garment is one
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        [Path("/usr/share/datasets/fashion-mnist")],  # Debian's dataset-fashion-mnist
    ),
    "cifar10": partial(_cifar, "cifar10", cifar.CIFAR10, "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": partial(_cifar, "cifar100", cifar.CIFAR100, "03b5dce01913d631647c71ecec9e9cb8"),
    "mio-tcd": _mio_tcd,
}  # fmt: skip


# --- images in files -----------------------------------------------------------------------------


def _of_archive(path: Path, cache_dir: Path | None, image_size: int | None) -> Dataset:
    listed = archives.list_images(path, cache_dir)
    if not listed:
        raise ValueError(f"the archive {path} holds no images: {folders.EXPECTED} are expected")
    return _of_images(
        path, listed, cache_dir, image_size, lambda files: archives.read_members(path, files)
    )


def _of_images(
    source: Path,
    listed: list[tuple[str, str, ImageFile]],
    cache_dir: Path | None,
    image_size: int | None,
    read: Callable[[list[ImageFile]], Contents] | None = None,
) -> Dataset:
    """The dataset of the images listed as (part, class, file). read: where they are not on disk."""
    named = {part: {c for p, c, _ in listed if p == part} for part in ("train", "test")}
    classes = tuple(sorted(named["train"]))
    if named["train"] != named["test"]:
        differing = ", ".join(sorted(named["train"] ^ named["test"]))
        raise ValueError(
            f"train and test of {str(source)!r} must have the same classes; "
            f"only one of them has {differing}"
        )
    places = {name: k for k, name in enumerate(classes)}
    rows = [
        file._replace(label=places[name])
        for part in ("train", "test")
        for p, name, file in listed
        if p == part
    ]
    # Both splits are decoded together, because one image in colour makes all of them RGB.
    contents = None if read is None else partial(read, rows)
    images = read_images(source, rows, cache_dir, image_size, contents)
    labels = np.array([file.label for file in rows], np.int64)
    n = sum(part == "train" for part, _, _ in listed)
    augmentation = STANDARD if min(images.shape[1:3]) >= 28 else NO_AUGMENTATION
    train, test = Split(images[:n], labels[:n]), Split(images[n:], labels[n:])
    return Dataset(source.resolve().name, classes, train, test, augmentation)
