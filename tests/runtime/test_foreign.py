"""Files of other programs are told what they are, and how to convert them."""

import io
import json
import zipfile

import numpy as np
import pytest
from properties.networks import gated

from tinybar import pruning
from tinybar.runtime.files import FileError, read_safetensors


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.zeros(2))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(2))
    return file.getvalue()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"")
    return file.getvalue()


def torch_saved(legacy: bool) -> bytes:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    state = torch.nn.Linear(2, 2).state_dict()
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def onnx() -> bytes:
    pytest.importorskip("onnx")
    from tinybar.deploy import to_onnx

    return to_onnx(pruning.compact(gated().astype(np.float32))).SerializeToString()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: zipped("net/data.pkl"), r"PyTorch's: .*torch\.load\('net', weights_only=True\)"),
        (lambda: torch_saved(legacy=False), r"PyTorch's: .*torch\.load\('net'"),
        (lambda: torch_saved(legacy=True), r"a pickle, .* never read; maybe PyTorch's"),
        (npz, r"NumPy's: .*np\.load\('net'\)"),
        (npy, "a single array of NumPy"),
        (lambda: zipped("text"), "a zip archive"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(8), "HDF5, as Keras writes it"),
        (onnx, "ONNX: write the state dict"),
        (lambda: b"GGUF" + bytes(20), "GGUF"),
    ],
)
def test_what_it_is(make, what, tmp_path):
    (tmp_path / "net").write_bytes(make())
    with pytest.raises(FileError, match=f"net is not safetensors but {what}") as caught:
        read_safetensors(tmp_path / "net", "network")
    assert "\n" not in str(caught.value)


def test_a_damaged_zip_is_one_line(tmp_path):
    (tmp_path / "net").write_bytes(npz()[:-5])
    with pytest.raises(FileError, match="net is truncated or damaged: File is not a zip file"):
        read_safetensors(tmp_path / "net", "network")


def test_a_folder(tmp_path):
    with pytest.raises(FileError, match=r"is a folder, a .safetensors file is needed"):
        read_safetensors(tmp_path, "network")


def test_a_header_may_have_the_length_that_spells_a_zip_archive(tmp_path):
    entries = {"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
    length = int.from_bytes(b"PK", "little")
    header = json.dumps(entries).encode().ljust(length)
    (tmp_path / "net").write_bytes(length.to_bytes(8, "little") + header)
    assert read_safetensors(tmp_path / "net", "network")[0]["a"].shape == (0,)
