"""Files that are whole or absent: written under a temporary name, then renamed.

Arrays go to safetensors with a JSON header: nothing that is read is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


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

    Raises ValueError, in one line, for a missing, truncated or foreign file.
    """
    arrays, about = read_safetensors(path)
    if about is None:
        raise ValueError(f"{path} was not written by tinybar")
    return arrays, about


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict | None]:
    """Read (arrays, about); `about` is None where the file was not written by `save_arrays`.

    Raises ValueError, in one line, for a missing or truncated file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    try:
        with safe_open(path, framework="numpy") as stored:
            about = json.loads((stored.metadata() or {}).get("tinybar", "null"))
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError, TypeError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    return arrays, about if isinstance(about, dict) else None
