"""Image files in zip and tar archives, read in place: nothing is unpacked to disk."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ...runtime.files import FileError, reading, write_text
from .cache import FORMAT, cache_name, open_cache
from .folders import LAYOUT, MISPLACED, SPLITS, ImageFile, Listing, readable, unread

MAX_IMAGE_BYTES = 1 << 26  # of one encoded image; no photograph is larger
MAX_ENTRY_BYTES = 1 << 28  # of any entry that is read
BOUNDED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # zipfile reads the others without a limit


def is_archive(path: Path) -> bool:
    """Whether the file looks like a zip or tar archive, compressed or not."""
    try:
        if zipfile.is_zipfile(path):
            return True
        with open(path, "rb") as file, _Tar.open(fileobj=file):
            return True
    except Exception:  # of many types, as in `reading`
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
    """All entries except folders, in their order. Raises FileError for a damaged archive."""
    with reading(path):
        yield from _zip_entries(path) if zipfile.is_zipfile(path) else _tar_entries(path)


def _zip_entries(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        _check_count(archive)
        for info in archive.infolist():
            if info.compress_type not in BOUNDED:
                raise FileError(f"{path}: entry {info.filename!r} is not stored or deflated")
            archive.open(info).close()  # compares the name with the one before the content
            if not info.is_dir():
                # The upper half of external_attr is the Unix mode: 0o12.... is a link.
                is_file = info.external_attr >> 28 != 0o12
                read = partial(_read, path, archive.open, info, info.file_size)
                yield Entry(info.filename, info.file_size, is_file, read)


def _check_count(archive: zipfile.ZipFile) -> None:
    """A damaged length of a comment may hide entries: zipfile does not count them."""
    assert archive.fp is not None  # it is open
    archive.fp.seek(-22 - len(archive.comment), os.SEEK_END)
    record, found = archive.fp.read(12), len(archive.infolist())
    announced = int.from_bytes(record[10:], "little")  # modulo 2^16, or 0xFFFF for "see elsewhere"
    if record[:4] == b"PK\5\6" and announced not in (found % (1 << 16), 0xFFFF):
        raise zipfile.BadZipFile(f"it has {announced} entries, of which {found} are listed")


def _tar_entries(path: Path) -> Iterator[Entry]:
    with open(path, "rb") as file, _Tar.open(fileobj=file) as archive:
        for member in archive:
            if not member.isdir():
                read = partial(_read, path, archive.extractfile, member, member.size)
                yield Entry(member.name, member.size, member.isfile(), read)
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the end-of-archive marker is missing")
        while archive.fileobj.read(1 << 20):
            pass  # a compressed file has its checksum at the end


class _Tar(tarfile.TarFile):
    """A tar archive of which no more is read at once than an entry may have.

    tarfile itself reads names and comments of whatever length a header announces.
    """

    def __init__(self, name, mode, fileobj, **options):
        super().__init__(name, mode, _Bounded(fileobj), **options)


class _Bounded:
    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, size: int) -> bytes:
        if size > MAX_ENTRY_BYTES:
            raise tarfile.ReadError(f"it announces {size:,} bytes")
        return self._file.read(size)


def _read(path: Path, open_entry: Callable[..., Any], entry, size: int) -> bytes:
    with reading(path):
        if size > MAX_ENTRY_BYTES:
            raise FileError(f"{path}: an entry of {size:,} bytes is more than {MAX_ENTRY_BYTES:,}")
        with open_entry(entry) as file:
            content = file.read(size + 1)  # without a size, zipfile reads what there really is
        if len(content) != size:
            raise EOFError(f"an entry has not the {size:,} bytes that it announces")
    return content


# --- images --------------------------------------------------------------------------------------


def list_images(path: Path, splits: Sequence[str], cache_dir: Path | None = None) -> Listing:
    """All images at .../SPLIT/CLASS/NAME, sorted by split, class and path.

    Names that begin with a dot are passed over. The list is cached in cache_dir, if given, because
    reading through a compressed archive is slow; it is valid until the archive changes.
    Raises FileError for a damaged archive, for one with none of these images or with two data sets,
    and for entries that point outside the archive, links, and images larger than MAX_IMAGE_BYTES.
    """
    with reading(path):
        stat = path.stat()
    state = [FORMAT, stat.st_size, stat.st_mtime_ns]
    cached = cache_dir and cache_dir / f"{cache_name(path)}.json"
    rows = _read_list(cached, state) if cached else None
    if rows is None:
        rows = _scan(path)
        if cached and cache_dir:
            text = json.dumps([state, rows])
            with open_cache(cache_dir):
                write_text(cached, f"{_checksum(text)}\n{text}")
    rows = [row for row in rows if row[0] in splits]
    files = sorted(
        ImageFile(split, class_name, f"{path}/{name}", size, stat.st_mtime_ns, index)
        for split, class_name, name, size, index, reason in rows
        if reason is None
    )
    if not files:
        raise FileError(f"the archive {path} has no images: expected {LAYOUT}")
    return Listing(files, Counter(reason for *_, reason in rows if reason is not None))


def _scan(path: Path) -> list[tuple[str, str, str, int, int, str | None]]:
    """(split, class, name, bytes, index of the entry, why it is not read) of every image.

    Where a name occurs several times, the last entry counts, as when the archive is unpacked.
    """
    rows, roots = {}, set()
    for index, (name, size, is_file, _) in enumerate(entries(path)):
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise FileError(f"{path}: entry {name!r} points outside the archive")
        within = [part for part in place.parts[:-1] if part in SPLITS]
        reason = unread(place.name)
        if reason == "" or not within:
            continue
        *_, split, class_name, _ = "", *place.parts
        if any(part.startswith(".") for part in place.parts):
            reason = "hidden"
        elif split not in SPLITS:
            split, reason = within[-1], MISPLACED
        if reason is None:
            _check_image(path, name, size, is_file)
            roots.add(str(place.parents[2]))
        rows[place] = split, readable(class_name), str(place), size, index, reason
    if len(roots) > 1:
        one, other = sorted(roots)[:2]
        raise FileError(
            f"the archive {path} holds several data sets: one in {one!r}, one in {other!r}"
        )
    return list(rows.values())


def _check_image(path: Path, name: str, size: int, is_file: bool) -> None:
    if not is_file:
        raise FileError(f"{path}: entry {name!r} is a link; links are not followed")
    if size > MAX_IMAGE_BYTES:
        raise FileError(
            f"{path}: entry {name!r} has {size:,} bytes, at most {MAX_IMAGE_BYTES:,} allowed"
        )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_list(cached: Path, state: list[int]) -> list[Any] | None:
    """The rows in the cache, or None where they are missing, outdated or damaged."""
    try:
        checksum, _, text = cached.read_text("utf-8").partition("\n")
        found = json.loads(text) if checksum == _checksum(text) else [None]
    except (OSError, ValueError):
        return None
    return found[1] if found[0] == state else None


def read_images(path: Path, files: list[ImageFile]) -> Iterator[tuple[int, bytes]]:
    """(index in `files`, content) of all files, in the order of the archive."""
    indices = {file.entry: k for k, file in enumerate(files)}
    for index, entry in enumerate(entries(path)):
        if index in indices:
            yield indices[index], entry.read()
