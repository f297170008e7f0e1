"""Image files in zip and tar archives, read in place: nothing is unpacked to disk."""

from __future__ import annotations

import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ...runtime.files import write_text
from .cache import cache_name, open_cache
from .folders import IMAGE_SUFFIXES, ImageFile

MAX_IMAGE_BYTES = 1 << 26  # of one encoded image; no photograph is larger
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def is_archive(path: Path) -> bool:
    """Whether the file looks like a zip or tar archive, compressed or not."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except (OSError, EOFError, zlib.error):
        return False


class Entry(NamedTuple):
    """An entry of an archive. size: in bytes, uncompressed. is_file: False for links and devices.

    read: returns the content; to be called before the next entry is asked for.
    """

    name: str
    size: int
    is_file: bool
    read: Callable[[], bytes]


def entries(path: Path) -> Iterator[Entry]:
    """All entries except folders, in their order. Raises ValueError for a damaged archive."""
    with _report_damage(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        # The upper half of external_attr is the Unix mode: 0o12.... is a link.
                        is_file = info.external_attr >> 28 != 0o12
                        read = partial(_read, path, archive.open, info)
                        yield Entry(info.filename, info.file_size, is_file, read)
            return
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isdir():
                    read = partial(_read, path, archive.extractfile, member)
                    yield Entry(member.name, member.size, member.isfile(), read)
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("the end-of-archive marker is missing")


def _read(path: Path, open_entry: Callable, entry) -> bytes:
    with _report_damage(path), open_entry(entry) as file:
        return file.read()


@contextmanager
def _report_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise ValueError(f"the archive {path} is truncated or damaged: {error}") from error


# --- images --------------------------------------------------------------------------------------


def list_images(path: Path, cache_dir: Path | None = None) -> list[ImageFile]:
    """All images at .../SPLIT/CLASS/NAME, sorted by split, class and path.

    Names that begin with a dot are ignored. The list is cached in cache_dir, if given, because
    reading through a compressed archive is slow; it is valid until the archive changes.
    Raises ValueError for a damaged archive, and for entries that point outside the archive, links,
    and images larger than MAX_IMAGE_BYTES.
    """
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns]
    cached = cache_dir and cache_dir / f"{cache_name(path)}.json"
    rows = _read_list(cached, state) if cached else None
    if rows is None:
        rows = _scan(path)
        if cached:
            with open_cache(cache_dir):
                write_text(cached, json.dumps({"state": state, "images": rows}))
    return sorted(
        ImageFile(split, class_name, f"{path}/{name}", size, stat.st_mtime_ns, index)
        for split, class_name, name, size, index in rows
    )


def _scan(path: Path) -> list[tuple[str, str, str, int, int]]:
    """(split, class, name, bytes, index of the entry) of every image.

    Where a name occurs several times, the last entry counts, as when the archive is unpacked.
    """
    rows = {}
    for index, (name, size, is_file, _) in enumerate(entries(path)):
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"{path}: entry {name!r} points outside the archive")
        hidden = any(part.startswith(".") for part in place.parts)
        if hidden or len(place.parts) < 3 or not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        if not is_file:
            raise ValueError(f"{path}: entry {name!r} is a link; links are not followed")
        if size > MAX_IMAGE_BYTES:
            raise ValueError(
                f"{path}: entry {name!r} has {size:,} bytes, at most {MAX_IMAGE_BYTES:,} allowed"
            )
        split, class_name, _ = place.parts[-3:]
        rows[place] = split, class_name, str(place), size, index
    return list(rows.values())


def _read_list(cached: Path, state: list[int]) -> list | None:
    """The rows in the cache, or None where they are missing, outdated or malformed."""
    try:
        found = json.loads(cached.read_text("utf-8"))
        rows = [
            (str(split), str(class_name), str(name), int(size), int(index))
            for split, class_name, name, size, index in found["images"]
        ]
        return rows if found["state"] == state else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_images(path: Path, files: list[ImageFile]) -> Iterator[tuple[int, bytes]]:
    """(index in `files`, content) of all files, in the order of the archive."""
    indices = {file.entry: k for k, file in enumerate(files)}
    for index, entry in enumerate(entries(path)):
        if index in indices:
            yield indices[index], entry.read()
