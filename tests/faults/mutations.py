"""Changes of a file's bytes, as disks, transfers and malice make them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Change = Callable[[np.random.Generator, bytearray, bytes], bytearray]  # (rng, content, another)

NUMBERS = 0, 1, 2, 127, 255, 256, 0x7FFF, 0xFFFF, 1 << 24, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, -1
WORDS = (
    b"0", b"-1", b"1", b"2147483648", b"1e308", b"1e-320", b"NaN", b"inf", b"null", b"true", b"[]",
    b"{}", b'""', b"'x'", b"9" * 400, b"a" * 300, b"[" * 3000, b"\xff\xfe", b"\n", b"=", b"", b"\0",
)  # fmt: skip


def place(rng, content: bytes) -> int:
    """An offset: often near the beginning or the end, where headers and directories are."""
    n = max(len(content), 1)
    near = int(rng.integers(min(n, 64)))
    return (near, n - 1 - near, *map(int, rng.integers(n, size=2)))[int(rng.integers(4))]


def span(rng, content: bytes) -> tuple[int, int]:
    start = place(rng, content)
    return start, start + int(rng.choice([1, 4, 16, 512, max(1, len(content) // 3)]))


def flip(rng, content, other):
    for _ in range(int(rng.integers(1, 9)) if content else 0):
        content[place(rng, content)] ^= 1 << int(rng.integers(8))
    return content


def truncate(rng, content, other):
    return content[: place(rng, content)]


def append(rng, content, other):
    return content + [bytes(9), rng.bytes(50), content, bytes(5000)][int(rng.integers(4))]


def swap(rng, content, other):
    (a, b), (c, d) = sorted((span(rng, content), span(rng, content)))
    b, c = min(b, c), max(b, c)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def duplicate(rng, content, other):
    a, b = span(rng, content)
    return content[:b] + content[a:b] * int(rng.integers(1, 4)) + content[b:]


def zero(rng, content, other):
    a, b = span(rng, content)
    content[a:b] = bytes(len(content[a:b]))
    return content


def delete(rng, content, other):
    a, b = span(rng, content)
    return content[:a] + content[b:]


def number(rng, content, other):
    """A length in a header, of some width and byte order."""
    a, width = place(rng, content), int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice([*NUMBERS, len(content), len(content) + 1])) % (1 << 8 * width)
    content[a : a + width] = value.to_bytes(width, ("little", "big")[int(rng.integers(2))])
    return content


def word(rng, content, other):
    """A number, name or string of a text; in a binary file what looks like one."""
    found = list(re.finditer(rb"-?\d[\d.e+-]*|\w+|[\[\]{}:=,\"]", bytes(content[:20000])))
    if not found:
        return flip(rng, content, other)
    a, b = found[int(rng.integers(len(found)))].span()
    return content[:a] + WORDS[int(rng.integers(len(WORDS)))] + content[b:]


def splice(rng, content, other):
    return content[: place(rng, content)] + other[place(rng, other) :]


CHANGES = flip, truncate, append, swap, duplicate, zero, delete, number, word, splice


def mutated(rng: np.random.Generator, content: bytes, other: bytes) -> tuple[bytes, str]:
    """(content with one to three changes, their names). other: a valid file of the same kind."""
    changes = CHANGES + (word,) * len(CHANGES) * content.isascii()
    names, new = [], bytearray(content)
    while not names or new == content:
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            change = changes[int(rng.integers(len(changes)))]
            new = change(rng, new, other)
            names.append(change.__name__)
    return bytes(new), "+".join(names)
