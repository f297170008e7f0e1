"""Files are whole or absent, and arrays come back as they were."""

import numpy as np
import pytest

from tinybar.runtime.files import (
    FileError,
    load_arrays,
    reading,
    save_arrays,
    write_text,
    write_whole,
)


def test_arrays_of_any_shape_and_dtype_survive(tmp_path):
    arrays = {
        "scalar": np.array(3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "empty": np.zeros((0, 4), np.float32),
    }
    save_arrays(tmp_path / "a.safetensors", arrays, {"é": [1, None]})
    loaded, about = load_arrays(tmp_path / "a.safetensors")
    assert about == {"é": [1, None]}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert np.array_equal(loaded[name], array)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_saved_arrays_are_as_readable_as_other_files(tmp_path):
    save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(2)}, {})
    (tmp_path / "b").write_text("")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (KeyError("shape"), "f is truncated or damaged: 'shape'"),
        (EOFError(), "f is truncated or damaged: EOFError"),
        (RuntimeError("bad\n  header"), "f is truncated or damaged: bad header"),
        (PermissionError(13, "Permission denied", "f"), "cannot read f: Permission denied"),
        (FileError("g has no images"), "g has no images"),
    ],
)
def test_what_a_library_raises_on_a_file_becomes_one_line_that_names_it(raised, message):
    with pytest.raises(FileError) as caught, reading("f"):
        raise raised
    assert str(caught.value) == message
