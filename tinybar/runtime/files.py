"""Files that are whole or absent: written under a temporary name, then renamed.

Arrays go to safetensors with a JSON header: nothing that is read is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


class FileError(ValueError):
    """A file cannot be used; the message is one line, and names the file and the reason."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path} is truncated or damaged: {reason}") from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under a temporary name beside `path`, then rename it to `path`.

    Raises OSError, naming the path, where it cannot be written: a full disk, say.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write the text in UTF-8."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value) -> None:
    """Write the value as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping) -> None:
    """Write arrays by name, and `about`: anything that JSON can hold."""
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content = save(contiguous, {"tinybar": json.dumps(about)})
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read (arrays, about) from a file that `save_arrays` wrote.

    Raises FileError for a missing, truncated or foreign file.
    """
    arrays, about = read_safetensors(path)
    if about is None:
        raise FileError(f"{path} was not written by tinybar")
    return arrays, about


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict | None]:
    """Read (arrays, about); `about` is None where the file was not written by `save_arrays`.

    Raises FileError for a missing or truncated file.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise FileError(f"no such file: {path}")
    with reading(path), safe_open(path, framework="numpy") as stored:
        about = json.loads((stored.metadata() or {}).get("tinybar", "null"))
        arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    return arrays, about if isinstance(about, dict) else None
