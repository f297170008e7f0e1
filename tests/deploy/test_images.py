"""Files and folders on the command line become images in the order of a data set's."""

from pathlib import Path

import pytest
from data.making import encoded, in_folder, noise, tree

from tinybar.deploy.images import list_images


def test_files_and_folders_are_listed_as_a_data_set_s(tmp_path):
    in_folder(tmp_path, tree(classes=("b", "a")))
    in_folder(tmp_path / "test", {"z.png": encoded(noise(2, 2)), ".hidden/x.png": b""})
    in_folder(tmp_path / "test", {"a/x.webp": b"", "a/deeper/y.png": b""})
    listing = list_images([tmp_path / "train" / "a" / "0.png", tmp_path / "test"])
    names = [Path(file.path).relative_to(tmp_path).as_posix() for file in listing.files]
    assert names[0] == "train/a/0.png"
    assert names[1:] == sorted(names[1:], key=lambda name: (Path(name).parent.name, name))
    assert [file.class_name for file in listing.files] == ["a", "a", "a", "b", "b", "test"]
    assert listing.passed_over == {".webp": 1, "not directly in a class folder": 1, "hidden": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' and the folders in it have no images"):
        list_images([tmp_path / "empty"])
    with pytest.raises(ValueError, match=r"cannot read .*none: No such file"):
        list_images([tmp_path / "none"])
