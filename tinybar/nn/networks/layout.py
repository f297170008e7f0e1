"""Which layouts describe a compact network. They come from files, and are not to be trusted."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Any

from .residual import check_shape

KEYS = {"family", "pools", "image_shape", "num_classes", "stem", "blocks"}
STEM_KEYS = {"width", "writes"}
BLOCK_KEYS = {"width", "reads", "inner", "writes", "stride", "shortcut"}
INNER: dict[str, tuple[int, ...]] = {
    "wide": (0, 1),
    "post": (0, 1, 2),
}  # numbers of convolutions of a path before its last


def check_layout(layout: dict[str, Any]) -> None:
    """Raises ValueError, naming the place, unless it is a layout as `CompactNetwork` describes it.

    Lists of channels are ascending, without repetition, not empty, and in range. A block without a
    convolution has a shortcut. A shortcut begins a residual signal; the other blocks have its width
    and stride 1. Every channel of a signal is written, so that the lists bound the widths.
    """
    _check_keys("the layout", layout, KEYS)
    if layout["family"] not in INNER or not isinstance(layout["pools"], bool):
        raise ValueError(f"unknown family {layout['family']!r} with pools {layout['pools']!r}")
    check_shape(layout["num_classes"], layout["image_shape"])
    stem = layout["stem"]
    _check_keys("stem", stem, STEM_KEYS)
    width, written = stem["width"], _channels("stem: writes", stem["writes"], stem["width"])
    for k, block in enumerate(_checked("blocks", layout["blocks"], list)):
        name = f"block {k}"
        _check_keys(name, block, BLOCK_KEYS)
        _check_path(name, block, INNER[layout["family"]])
        _channels(f"{name}: reads", block["reads"], width)
        if block["shortcut"] is not None:
            _check_written(f"before {name}", written, width)
            width, written = block["width"], set()
            written |= _channels(f"{name}: shortcut", block["shortcut"], width)
        elif (block["width"], block["stride"]) != (width, 1):
            raise ValueError(f"{name}: without a shortcut its width is {width} and its stride 1")
        if block["inner"]:
            written |= _channels(f"{name}: writes", block["writes"], width)
    _check_written("at the end", written, width)


def _check_path(name: str, block: dict[str, Any], lengths: tuple[int, ...]) -> None:
    inner = _checked(f"{name}: inner", block["inner"], list)
    if len(inner) not in lengths or not all(_is_count(n) for n in inner):
        raise ValueError(f"{name}: inner must be {lengths} positive integers, got {inner}")
    if not inner and (block["writes"] != [] or block["shortcut"] is None):
        raise ValueError(f"{name}: without a convolution it writes nothing and has a shortcut")
    if block["stride"] not in (1, 2):
        raise ValueError(f"{name}: stride must be 1 or 2, got {block['stride']!r}")


def _check_keys(name: str, found: dict[str, Any], expected: Collection[str]) -> None:
    if differing := _checked(name, found, dict).keys() ^ expected:
        raise ValueError(f"{name} must have {sorted(expected)}, wrong or missing: {differing}")


def _checked(name: str, value, kind: type):
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be a {kind.__name__}, got {value!r:.60}")
    return value


def _is_count(value) -> bool:
    return type(value) is int and value > 0  # True is an int, too


def _channels(name: str, index: list[int], width: int) -> set[int]:
    """The channels of the list. ValueError unless it names channels of a signal of that width."""
    is_list = isinstance(index, list) and index and all(type(n) is int for n in index)
    if not is_list or not _is_count(width) or index[0] < 0 or index[-1] >= width:
        raise ValueError(f"{name} must be channels below {width!r}, got {index!r:.60}")
    if any(a >= b for a, b in pairwise(index)):
        raise ValueError(f"{name} must be ascending, got {index!r:.60}")
    return set(index)


def _check_written(name: str, written: set[int], width: int) -> None:
    if len(written) != width:
        raise ValueError(f"{name} {width} channels exist, but {len(written)} are written")
