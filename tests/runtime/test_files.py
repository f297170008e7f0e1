"""Files are whole or absent, and arrays come back as they were or not at all."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from tinybar.runtime.files import (
    FileError,
    load_arrays,
    read_safetensors,
    reading,
    save_arrays,
    write_text,
    write_whole,
)


def refused(path, message: str, kind="network") -> None:
    with pytest.raises(FileError) as caught:
        load_arrays(path, kind)
    assert str(caught.value) == message.format(path)


def test_arrays_of_any_shape_and_dtype_survive(tmp_path):
    arrays = {
        "scalar": np.array(3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "empty": np.zeros((0, 4), np.float32),
        "big-endian": np.arange(3, dtype=">f4"),
    }
    save_arrays(tmp_path / "a.safetensors", arrays, {"é": [1, None]}, "network")
    loaded, about = load_arrays(tmp_path / "a.safetensors", "network")
    assert about == {"é": [1, None]}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(loaded[name], array)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"a": np.arange(3, dtype=np.float32)}, {"x": 1}, "network")
    return path


def test_no_bit_can_change(small):
    whole = small.read_bytes()
    for k in range(8 * len(whole)):
        content = bytearray(whole)
        content[k // 8] ^= 1 << k % 8
        small.write_bytes(content)
        with pytest.raises(FileError) as caught:
            load_arrays(small, "network")
        assert str(small) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_byte_can_be_lost_or_added(small):
    whole = small.read_bytes()
    for content in (*(whole[:k] for k in range(len(whole))), whole + b"\0", b"\0" + whole):
        small.write_bytes(content)
        with pytest.raises(FileError, match="truncated or damaged"):
            load_arrays(small, "network")


def test_a_file_of_another_kind(small):
    refused(small, "{} is a network, not a checkpoint", "checkpoint")


def written_by(path, header: dict | None) -> None:
    save_file({"a": np.zeros(2)}, path, None if header is None else {"tinybar": json.dumps(header)})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "{} was not written by tinybar"),
        ({"network": {}}, "{} has no format number: a tinybar before 0.1.0 wrote it"),
        ({"format": 2}, "{} has format 2, this tinybar reads 1: use a newer one"),
        ([], "{} has no format number: a tinybar before 0.1.0 wrote it"),
        ({"format": 1}, "{} is truncated or damaged: 'sha256'"),
    ],
)
def test_a_file_of_another_program_or_version(header, message, tmp_path):
    written_by(tmp_path / "a", header)
    refused(tmp_path / "a", message)


def test_a_path_that_cannot_be(tmp_path):
    path = tmp_path / ("x" * 300)
    refused(path, "cannot read {}: File name too long")


def test_bfloat16_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 3 * 2.0**100, np.inf], np.float32)
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    upper_halves = values.view("<u2")[1::2].tobytes()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(header)) + header + upper_halves)
    arrays, about = read_safetensors(tmp_path / "a", "network")
    assert about is None
    assert arrays["a"].dtype == np.float32
    assert np.array_equal(arrays["a"], values.reshape(2, 2))


def test_a_dtype_that_is_not_read_is_named(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E5M2", "shape": [1], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(FileError, match="a holds a in F8_E5M2: convert it to F32"):
        read_safetensors(tmp_path / "a", "network")


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []

    def spy(name, call):
        def recorded(target, *rest):
            calls.append((name, os.path.isdir(target)))
            return call(target, *rest)

        monkeypatch.setattr(os, name, recorded)

    spy("fsync", os.fsync)
    spy("replace", os.replace)
    write_text(tmp_path / "file", "new")
    of_folder = [("fsync", True)] if os.name == "posix" else []
    assert calls == [("fsync", False), ("replace", False), *of_folder]


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
    save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(2)}, {}, "network")
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
        (MemoryError(), "cannot read f: there is not enough memory"),
        (FileError("g has no images"), "g has no images"),
    ],
)
def test_what_a_library_raises_on_a_file_becomes_one_line_that_names_it(raised, message):
    with pytest.raises(FileError) as caught, reading("f"):
        raise raised
    assert str(caught.value) == message
