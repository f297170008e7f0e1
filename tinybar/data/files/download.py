"""Files that are found on disk or downloaded by pooch: checksummed, whole or not at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class RemoteFile(NamedTuple):
    """A file that can be downloaded. md5: as published, or as in other libraries."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def find_or_download(remote: RemoteFile, folders: Sequence[Path]) -> Path:
    """The file's path: in one of the folders, otherwise downloaded into the first of them.

    Only a downloaded file is checked against the checksum. Raises ValueError that says which file
    to put where if it cannot be downloaded.
    """
    for folder in folders:
        if (found := folder / remote.name).is_file():
            return found
    try:
        import pooch  # only here: most runs download nothing
    except ImportError as error:
        raise ValueError(f"{_advice(remote, folders[0])}: pooch is not installed") from error
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        folders[0].mkdir(parents=True, exist_ok=True)
        found = pooch.retrieve(
            remote.url, f"md5:{remote.md5}", fname=remote.name, path=folders[0], downloader=_resume
        )
    except Exception as error:  # network, disk, or a wrong checksum
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{_advice(remote, folders[0])}: {reason}") from error
    return Path(found)


def _advice(remote: RemoteFile, folder: Path) -> str:
    return f"cannot download {remote.url}; put {remote.name} into {os.fspath(folder)!r} yourself"


def _resume(url: str, output_file: str, _pooch) -> None:
    """A downloader for pooch that resumes: it appends to .NAME.part until the file is whole."""
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    part = Path(output_file).with_name(f".{url.rpartition('/')[2]}.part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, stream=True, timeout=30, headers=headers) as answer:
        if have and answer.status_code != requests.codes.partial_content:
            have = 0  # the server sends the whole file
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # it is at least as long as the file, so it is not a part of it
        answer.raise_for_status()
        size = have + int(answer.headers.get("content-length", 0))
        console = Console(stderr=True)
        name = TextColumn("{task.description}")
        columns = name, BarColumn(), DownloadColumn(), TransferSpeedColumn()
        with (
            open(part, "ab" if have else "wb") as file,
            Progress(*columns, console=console, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task(f"downloading {url}", total=size, completed=have)
            for chunk in answer.iter_content(1 << 16):
                file.write(chunk)
                bar.advance(task, len(chunk))
    os.replace(part, output_file)
