"""Files of other programs: what they are, and how their arrays become safetensors."""

from __future__ import annotations

import re
from pathlib import Path

TORCH = (
    "PyTorch's: write its state dict with "
    "`safetensors.torch.save_file(torch.load({name!r}, weights_only=True), 'net.safetensors')`"
)
NUMPY = "NumPy's: write it with `safetensors.numpy.save_file(dict(np.load({name!r})), ...)`"
KINDS = [
    (rb"\x80[\x02-\x05]", f"a pickle, which can run any code and is never read; maybe {TORCH}"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes it: write its arrays, by PyTorch's names and in "
     "its layouts, with `safetensors.numpy.save_file`"),
    (rb"\x93NUMPY", "a single array of NumPy: a network has many"),
    # ONNX is a protocol buffer without a mark; it begins with its version and its producer.
    (rb"\x08[\x01-\x20][\x12\x1a\x3a]", "ONNX: write the state dict of the network that it was "
     "exported from with `safetensors.torch.save_file`"),
    (rb"GGUF", "GGUF: it holds language models"),
]  # fmt: skip


def what_it_is(path: Path, start: bytes) -> str | None:
    """What the file of another program is and how to convert it; None for an unknown one.

    start: its first 16 bytes.
    """
    if start.startswith(b"PK"):
        import zipfile  # only here: it loads every compression

        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("data.pkl") for name in names):
            return TORCH.format(name=path.name)
        if any(name.endswith(".npy") for name in names):
            return NUMPY.format(name=path.name)
        return "a zip archive"
    found = (text for pattern, text in KINDS if re.match(pattern, start, re.DOTALL))
    return next((text.format(name=path.name) for text in found), None)
