"""The worked example of docs/data.md, "Adding a data set", executed as it is printed there."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from data.making import noise, refused

from tinybar.data import DATASETS, load, named

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The example's file is written here, as if it were in named/, and its import is executed."""
    section = PAGE.read_text("utf-8").partition("## Adding a data set")[2]
    module, registration = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (path,) = re.findall(r"in a new file,\s`(tinybar/data/named/\w+\.py)`", section)
    assert len(registration.splitlines()) == 1
    (tmp_path / Path(path).name).write_text(module, encoding="utf-8")
    monkeypatch.setattr(named, "__path__", [*named.__path__, str(tmp_path)])
    exec(registration, {"__package__": named.__name__})
    yield tmp_path
    del DATASETS["letters"], named.letters, sys.modules["tinybar.data.named.letters"]


def test_the_new_data_set_is_found_by_its_name(folder):
    images, labels = noise(52, 28, 28), (np.arange(52) % 26).astype(np.uint8)
    arrays = {"images": images, "labels": labels}
    splits = {f"{split}_{name}": arrays[name] for split in ("train", "test") for name in arrays}
    np.savez(folder / "letters.npz", **splits)
    data = load("letters", cache_dir=folder, val_fraction=0.5)
    assert (data.num_classes, data.image_shape, data.augmentation.pad) == (26, (28, 28, 1), 4)
    assert np.array_equal(data.test.images[..., 0], images)
    assert np.array_equal(data.test.labels, labels)
    assert (len(data.train), len(data.val)) == (26, 26)
    refused("letters", "--image-size is for image files", cache_dir=folder, image_size=8)
    refused("numbers", "expected a name ( ... , letters)")
