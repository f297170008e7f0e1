"""What CuPy has, as signatures.json lists it."""

from __future__ import annotations

import json
from pathlib import Path

LIST = json.loads(Path(__file__).parents[1].joinpath("signatures.json").read_text("utf-8"))
DTYPES = "?bhilqBHILQefdFD"


def absent(owner: str, name: str, has: bool) -> Exception:
    """The error for a name that is not here. has: whether it is in CuPy."""
    if has:
        return unknown(f"{owner}.{name}, which CuPy {LIST['version']} has")
    return AttributeError(f"CuPy {LIST['version']} has no {owner}.{name}")


def unknown(what: str) -> Exception:
    """The error for what CuPy does and this stand-in does not, since nothing has needed it."""
    return NotImplementedError(f"the stand-in for CuPy does not know {what}")


def unsupported(**given) -> None:
    """Raise it for arguments that CuPy takes and this stand-in does not."""
    if found := [name for name, value in given.items() if value is not None]:
        raise unknown(", ".join(found))
