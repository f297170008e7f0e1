"""Folders of images inside a zip or tar archive, read where they lie: nothing is unpacked."""

from __future__ import annotations

import contextlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...runtime.files import write_text
from .images import ImageFile, cache_name
from .pixels import IMAGE_SUFFIXES

LARGEST = 1 << 26  # bytes of one packed image: more is no photograph, but a trap
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def is_archive(path: Path) -> bool:
    """Whether the file looks like a zip or tar archive, packed or not."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except (OSError, EOFError, zlib.error):
        return False


def list_images(path: Path, cache_dir: Path | None = None) -> list[tuple[str, str, ImageFile]]:
    """(part, class, file) of every image at .../PART/CLASS/NAME, sorted; labels are still 0.

    Names that begin with a dot are ignored. To look through a packed archive takes a while: the
    list is kept in cache_dir, if there is one, and holds as long as the archive does not change.
    ValueError, in one line, for a damaged archive, and for members that point outside of it, links
    to elsewhere, and images too large to be any.
    """
    stat = path.stat()
    if cache_dir is None:
        rows = _images(path)
    else:
        kept, state = Path(cache_dir) / f"{cache_name(path)}.json", [stat.st_size, stat.st_mtime_ns]
        rows = _read_list(kept, state)
        if rows is None:
            rows = _images(path)
            _write_list(kept, state, rows)
    return sorted(
        (part, label, ImageFile(f"{path}/{name}", 0, size, stat.st_mtime_ns, entry))
        for part, label, name, size, entry in rows
    )


def _images(path: Path) -> list[tuple[str, str, str, int, int]]:
    """(part, class, name, bytes, number of the entry) of every image.

    An archive may hold a name several times: the last entry is the file, as it is when unpacked.
    """
    rows = {}
    for entry, (name, size, is_plain) in enumerate(_members(path)):
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"{path}: its member {name!r} points outside of the archive")
        hidden = any(part.startswith(".") for part in place.parts)
        if hidden or len(place.parts) < 3 or not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        if not is_plain:
            raise ValueError(f"{path}: its member {name!r} is a link, which is not followed")
        if size > LARGEST:
            raise ValueError(f"{path}: its member {name!r} has {size:,} bytes, which is too large")
        part, label, _ = place.parts[-3:]
        rows[place] = part, label, str(place), size, entry
    return list(rows.values())


def _read_list(kept: Path, state: list[int]) -> list | None:
    """What `_write_list` wrote, or None: nothing, of another state, or no list at all."""
    try:
        found = json.loads(kept.read_text("utf-8"))
        rows = [
            (str(part), str(label), str(name), int(size), int(entry))
            for part, label, name, size, entry in found["images"]
        ]
        return rows if found["state"] == state else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write_list(kept: Path, state: list[int], rows: list) -> None:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps({"state": state, "images": rows}))
    except OSError as error:
        raise ValueError(
            f"cannot keep decoded images in {str(kept.parent)!r}: {error.strerror or error}"
        ) from error


def read_members(path: Path, files: list[ImageFile]) -> Iterator[tuple[int, bytes]]:
    """(place in `files`, content) of all files, in the order of the archive."""
    places = {file.entry: k for k, file in enumerate(files)}
    with _damage(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = _zip_entries(archive)
                for entry, place in places.items():
                    yield place, archive.read(entries[entry])
            return
        with tarfile.open(path) as archive:
            for entry, member in enumerate(_tar_entries(archive)):
                if entry in places:
                    yield places[entry], archive.extractfile(member).read()


def _members(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(name, size, whether it is a plain file) of everything but folders."""
    with _damage(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                infos = _zip_entries(archive)
            # The upper half of external_attr is the mode on Unix: 0o12.... is a symbolic link.
            yield from ((i.filename, i.file_size, i.external_attr >> 28 != 0o12) for i in infos)
            return
        with tarfile.open(path) as archive:
            yield from ((m.name, m.size, m.isfile()) for m in _tar_entries(archive))
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it has no end")


def _zip_entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [info for info in archive.infolist() if not info.is_dir()]


def _tar_entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in archive if not member.isdir())


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise ValueError(f"the archive {path} is truncated or damaged: {error}") from error
