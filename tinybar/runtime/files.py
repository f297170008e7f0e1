"""Files that are whole or absent: written under a temporary name, then renamed.

Arrays go to safetensors with a JSON header and a checksum: what is read is what was written, and
nothing of it is ever executed. docs/format.md describes the format.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .foreign import what_it_is

FORMAT = 1  # of what `save_arrays` writes
BLANK = b"0" * 64  # stands for the checksum while it is computed
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


class FileError(ValueError):
    """A file cannot be used; the message is one line, and names the file and the reason."""


@contextmanager
def reading(path: os.PathLike[str] | str) -> Iterator[None]:
    """Raise FileError for whatever is raised in the block, which reads the file at `path`.

    Every type of exception, because the libraries that read files document few of those that they
    raise on a damaged one: a zip alone can raise nine.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise FileError(f"cannot read {path}: {error.strerror}") from error
        if isinstance(error, MemoryError):
            raise FileError(f"cannot read {path}: there is not enough memory") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path} is truncated or damaged: {reason}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the path in an OSError of the block, which writes the file: a full disk, say."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under a temporary name beside `path`, then rename it to `path`.

    It is on the disk before it gets its name, so that a power cut leaves the old file or the new.
    Raises OSError, naming the path, where it cannot be written: a full disk, say.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            write(temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk, where the system can: Windows cannot open folders."""
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:  # some network file systems cannot either
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write the text in UTF-8."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write the value as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


# --- arrays --------------------------------------------------------------------------------------


def save_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], kind: str
) -> None:
    """Write arrays by name, and `about`: anything that JSON can hold.

    kind: what the file is, such as "network"; `load_arrays` refuses a file of another kind.
    """
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"format": FORMAT, "kind": kind, "sha256": BLANK.decode(), "about": about}
    content = save(contiguous, {"tinybar": json.dumps(header)})
    place, view = content.index(BLANK), memoryview(content)

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(view[:place])
            file.write(hashlib.sha256(view).hexdigest().encode())
            file.write(view[place + len(BLANK) :])

    write_whole(path, write)


def load_arrays(
    path: Path, kind: str, content: bytes | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read (arrays, about) from a file that `save_arrays` wrote.

    content: of the file, where it was read already. Raises FileError for a missing, damaged or
    foreign file, for one of another kind, and for the format of a newer tinybar.
    """
    arrays, about = read_safetensors(path, kind, content)
    if about is None:
        raise FileError(f"{path} was not written by tinybar")
    return arrays, about


def read_safetensors(
    path: Path, kind: str, content: bytes | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """As `load_arrays`, and any other safetensors file; `about` is None for such a one.

    Nothing larger than the file is allocated. bfloat16 becomes float32, which holds all its values.
    """
    from safetensors import deserialize

    with reading(path):
        if content is None:
            _check_start(path)
            content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end]).get("__metadata__", {}).get("tinybar")
        about = None if header is None else _verified(path, content, end, json.loads(header), kind)
        arrays = {name: _array(path, name, **stored) for name, stored in deserialize(content)}
    return arrays, about


def foreign_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself beside its arrays. Raises FileError as `reading`."""
    with reading(path), open(path, "rb") as file:
        end = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(end)).get("__metadata__", {})


def _check_start(path: Path) -> None:
    """Raises FileError unless a header of safetensors begins where it should."""
    if path.is_dir():
        raise FileError(f"{path} is a folder, a .safetensors file is needed")
    if not path.is_file():
        raise FileError(f"no such file: {path}")
    with open(path, "rb") as file:
        start = file.read(16)
    if start[8:9] != b"{":
        if foreign := what_it_is(path, start):
            raise FileError(f"{path} is not safetensors but {foreign}")
        raise FileError(f"{path} is truncated or damaged: it has no header of safetensors")


def _verified(
    path: Path, content: bytes, end: int, header: dict[str, Any], kind: str
) -> dict[str, Any]:
    """header["about"]. FileError unless format, kind and checksum are right.

    The checksum is the SHA-256 of the whole file with zeros in its own place. end: of the header.
    """
    if "format" not in header:
        raise FileError(f"{path} has no format number: a tinybar before 0.1.0 wrote it")
    if header["format"] != FORMAT:
        raise FileError(
            f"{path} has format {header['format']!r}, this tinybar reads {FORMAT}: use a newer one"
        )
    digest = hashlib.sha256(content[:end].replace(header["sha256"].encode(), BLANK, 1))
    digest.update(memoryview(content)[end:])
    if digest.hexdigest() != header["sha256"]:
        raise FileError(f"{path} is truncated or damaged: its checksum is not that of its content")
    if header["kind"] != kind:
        raise FileError(f"{path} is a {header['kind']}, not a {kind}")
    return header["about"]


def _array(path: Path, name: str, dtype: str, shape: list[int], data: bytearray) -> np.ndarray:
    if dtype not in DTYPES:
        raise FileError(f"{path} holds {name} in {dtype}: convert it to F32")
    array = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        array = (array.astype("<u4") << 16).view("<f4")
    return array
