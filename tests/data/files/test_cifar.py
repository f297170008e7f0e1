"""CIFAR's binary version, from its archive and unpacked."""

import io
import tarfile

import numpy as np
import pytest

from tinybar.data import load
from tinybar.data.files import cifar

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def records(labels: np.ndarray, images: np.ndarray, coarse: bool) -> bytes:
    rows = []
    for label, image in zip(labels, images, strict=True):
        head = [label // 5, label] if coarse else [label]
        rows.append(bytes(head) + image.transpose(2, 0, 1).tobytes())
    return b"".join(rows)


def files(layout: cifar.Layout, labels=None) -> dict[str, bytes]:
    """A small set of the layout's files: 20 images in every one."""
    coarse = layout.labels == 2
    classes = 20 if coarse else 10
    labels = np.arange(20) % classes if labels is None else labels
    names = "\n".join(f"class {k}" for k in range(classes)) + "\n\n"
    content = records(labels, PIXELS, coarse)
    return dict.fromkeys(layout.train + layout.test, content) | {layout.names: names.encode()}


def packed(path, contents: dict[str, bytes], folder: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


SETS = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}


@pytest.mark.parametrize("name", sorted(SETS))
@pytest.mark.parametrize("form", ["archive", "unpacked", "flat"])
def test_by_name(tmp_path, name, form):
    layout = SETS[name]
    if form == "archive":
        packed(tmp_path / layout.archive, files(layout), layout.folder)
    else:
        folder = tmp_path / name / (layout.folder if form == "unpacked" else "")
        folder.mkdir(parents=True)
        for file, content in files(layout).items():
            (folder / file).write_bytes(content)
    data = load(name, cache_dir=tmp_path)
    assert data.classes[1] == "class 1"
    assert (data.image_shape, len(data.test)) == ((32, 32, 3), 20)
    assert len(data.train) == 20 * len(layout.train)
    assert np.array_equal(data.test.images, PIXELS)
    assert np.array_equal(data.test.labels, np.arange(20) % data.num_classes)
    assert data.augmentation.flip


def spoilt(tmp_path, change):
    layout, contents = cifar.CIFAR10, files(cifar.CIFAR10)
    change(contents)
    return layout, packed(tmp_path / layout.archive, contents, layout.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("data_batch_3.bin"), "has no data_batch_3.bin"),
        (lambda c: c.pop("batches.meta.txt"), "has no batches.meta.txt"),
        (
            lambda c: c.update({"test_batch.bin": c["test_batch.bin"][:-1]}),
            "is truncated",
        ),
        (lambda c: c.update({"test_batch.bin": b""}), "test_batch.bin is truncated, 0 bytes"),
        (lambda c: c.update({"batches.meta.txt": b"a\nb\n"}), "labels out of range"),
    ],
)
def test_what_is_refused(tmp_path, change, message):
    spoilt(tmp_path, change)
    with pytest.raises(ValueError, match=message) as error:
        load("cifar10", cache_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_an_archive_cut_short(tmp_path):
    _, path = spoilt(tmp_path, lambda contents: None)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="is truncated or damaged"):
        load("cifar10", cache_dir=tmp_path)
