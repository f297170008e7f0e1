"""What the installed CuPy has: its names, parameters and dtypes. It needs no GPU.

    pip install cupy-cuda13x && python -P tests/gpu/standin/signatures.py > signatures.json

Parameters are text: `a, axis=, *, out=`, where `=` says that there is a default.
"""

from __future__ import annotations

import inspect
import json
import re
import sys


def parameters(signature: inspect.Signature) -> str:
    """The parameters of a Python function."""
    marks = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    found, kinds = [], []
    for p in signature.parameters.values():
        if p.kind.name == "KEYWORD_ONLY" and not {"KEYWORD_ONLY", "VAR_POSITIONAL"} & {*kinds}:
            found.append("*")
        kinds.append(p.kind.name)
        has_default = p.default is not p.empty
        found.append(marks.get(p.kind.name, "") + p.name + "=" * has_default)
    return ", ".join(found)


def documented(text: str | None, name: str) -> str | None:
    """The parameters of a compiled method: the first line of its docstring says them."""
    match = re.match(rf"\w+\.{name}\((.*?)\)(?: ->.*)?$", (text or "").partition("\n")[0])
    if match is None:
        return None
    entries = [entry.strip() for entry in re.sub(r"\([^)]*\)|\[[^]]*\]", "", match[1]).split(",")]
    entries = [entry for entry in entries if entry and entry != "self"]
    return ", ".join(e.partition("=")[0].split()[-1] + "=" * ("=" in e) for e in entries)


def listed(cupy) -> dict:
    """The list, fit for JSON."""
    found = {"version": cupy.__version__, "names": [], "functions": {}, "ufuncs": {}, "array": {}}
    for name in sorted(n for n in dir(cupy) if not n.startswith("_")):
        thing = getattr(cupy, name)
        if isinstance(thing, cupy.ufunc):
            found["ufuncs"][name] = " ".join(t for t in thing.types if "E" not in t)
        elif inspect.isfunction(thing):
            found["functions"][name] = parameters(inspect.signature(thing))
        else:
            found["names"].append(name)
    for name in sorted(n for n in dir(cupy.ndarray) if not n.startswith("_")):
        found["array"][name] = documented(getattr(cupy.ndarray, name).__doc__, name)
    return found


if __name__ == "__main__":
    import cupy

    json.dump(listed(cupy), sys.stdout, indent=1)
    print()
