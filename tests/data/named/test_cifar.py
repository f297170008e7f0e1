"""CIFAR's binary version, from its archive and unpacked."""

import numpy as np
import pytest
from data.making import in_folder, in_tar, noise, refused

from tinybar.data import load
from tinybar.data.named.cifar import CIFAR10, CIFAR100, Layout

PIXELS = noise(20, 32, 32, 3)
LAYOUTS = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def files(layout: Layout) -> dict[str, bytes]:
    """The layout's files with 20 images in each."""
    classes = 20 if layout is CIFAR100 else 10
    records = [
        bytes([k // 5, k % classes][-layout.label_bytes :]) + image.transpose(2, 0, 1).tobytes()
        for k, image in enumerate(PIXELS)
    ]
    names = "\n".join(f"class {k}" for k in range(classes)) + "\n\n"
    images = dict.fromkeys(layout.train + layout.test, b"".join(records))
    return images | {layout.classes: names.encode()}


def archive(tmp_path, contents):
    contents = {f"{CIFAR10.folder}/{name}": content for name, content in contents.items()}
    return in_tar(tmp_path / CIFAR10.archive, contents)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.parametrize("place", ["archive", "unpacked", "flat"])
def test_by_name(tmp_path, name, place):
    layout = LAYOUTS[name]
    if place == "archive":
        contents = {f"{layout.folder}/{file}": content for file, content in files(layout).items()}
        in_tar(tmp_path / layout.archive, contents)
    else:
        in_folder(tmp_path / name / (layout.folder * (place == "unpacked")), files(layout))
    data = load(name, cache_dir=tmp_path)
    assert data.classes[1] == "class 1"
    assert len(data.train) == 20 * len(layout.train)
    assert np.array_equal(data.test.images, PIXELS)
    assert np.array_equal(data.test.labels, np.arange(20) % data.num_classes)
    assert data.augmentation.flip


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_3.bin", None, "has no data_batch_3.bin"),
        ("batches.meta.txt", None, "has no batches.meta.txt"),
        ("test_batch.bin", lambda content: content[:-1], "test_batch.bin is truncated: 61,459 by"),
        ("test_batch.bin", lambda content: b"", "test_batch.bin is truncated: 0 bytes"),
        (
            "batches.meta.txt",
            lambda content: b"a\nb\n",
            "data_batch_1.bin has label 9, and there are 2",
        ),
    ],
)
def test_what_is_refused(tmp_path, name, change, message):
    contents = files(CIFAR10)
    content = contents.pop(name)
    archive(tmp_path, contents | ({name: change(content)} if change else {}))
    refused("cifar10", message, cache_dir=tmp_path)


def test_a_truncated_archive(tmp_path):
    path = archive(tmp_path, files(CIFAR10))
    path.write_bytes(path.read_bytes()[:-2000])
    refused("cifar10", "is truncated or damaged", cache_dir=tmp_path)


def test_an_archive_with_two_data_sets(tmp_path):
    contents = {f"{top}/{file}": c for top in "ab" for file, c in files(CIFAR10).items()}
    in_tar(tmp_path / CIFAR10.archive, contents)
    refused("cifar10", "holds several data sets: in ['a', 'b']", cache_dir=tmp_path)
