"""MNIST and Fashion-MNIST by name, from small files in their layout."""

import gzip

import numpy as np
import pytest
from data.making import idx, in_folder, noise, refused

from tinybar.data import load


def files(labels: np.ndarray) -> dict[str, bytes]:
    arrays = {"images-idx3": noise(len(labels), 7, 6), "labels-idx1": labels}
    return {
        f"{split}-{name}-ubyte.gz": gzip.compress(idx(array))
        for split in ("train", "t10k")
        for name, array in arrays.items()
    }


@pytest.mark.parametrize(("name", "flip"), [("mnist", False), ("fashion-mnist", True)])
@pytest.mark.parametrize("subfolder", [True, False])
def test_by_name(tmp_path, name, flip, subfolder):
    labels = np.arange(20) % 10
    in_folder(tmp_path / (name if subfolder else ""), files(labels))
    data = load(name, cache_dir=tmp_path)
    assert (data.name, data.num_classes) == (name, 10)
    assert (data.augmentation.pad, data.augmentation.flip) == (4, flip)
    for split in (data.train, data.test):
        assert np.array_equal(split.images, noise(20, 7, 6)[..., None])
        assert np.array_equal(split.labels, labels)


def test_labels_past_the_number_of_classes(tmp_path):
    in_folder(tmp_path, files(np.arange(22) % 11))
    refused("mnist", f"{tmp_path} ... labels out of range: train has 0..10", cache_dir=tmp_path)
