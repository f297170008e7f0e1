"""Files that are found, or fetched: with checksum and progress bar, and whole or not at all.

pooch does it; it is imported only where something has to be fetched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Remote(NamedTuple):
    """A file that can be fetched. md5: as its publishers, or many of its users, tell it."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def find_or_fetch(remote: Remote, places: Sequence[Path]) -> Path:
    """Where the file is: in one of the places, or fetched into the first of them.

    A file that lies there is taken as it is; one that is fetched must have the checksum.
    Raises ValueError, in one line that tells which file to put where, if it cannot be fetched.
    """
    for place in places:
        if (found := place / remote.name).is_file():
            return found
    try:
        import pooch
    except ImportError as error:
        raise ValueError(f"{_advice(remote, places[0])}: pooch is not installed") from error
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        places[0].mkdir(parents=True, exist_ok=True)
        found = pooch.retrieve(
            remote.url, f"md5:{remote.md5}", fname=remote.name, path=places[0], downloader=_resuming
        )
    except Exception as error:  # of the network, of the disk, or a wrong checksum
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{_advice(remote, places[0])}: {reason}") from error
    return Path(found)


def _advice(remote: Remote, place: Path) -> str:
    return f"cannot fetch {remote.url}; put {remote.name} into {os.fspath(place)!r} yourself"


def _resuming(url: str, output_file: str, _pooch) -> None:
    """Fetch to a file beside, where a broken download goes on the next time. For pooch."""
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    part = Path(output_file).with_name(f".{url.rpartition('/')[2]}.part")
    have = part.stat().st_size if part.exists() else 0
    asked = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, stream=True, timeout=30, headers=asked) as answer:
        if have and answer.status_code != requests.codes.partial_content:
            have = 0  # the server sends all of it
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # there is no more than we have: something else than was wanted
        answer.raise_for_status()
        size = have + int(answer.headers.get("content-length", 0))
        console = Console(stderr=True)
        name = TextColumn("{task.description}")
        columns = name, BarColumn(), DownloadColumn(), TransferSpeedColumn()
        with (
            open(part, "ab" if have else "wb") as file,
            Progress(*columns, console=console, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task(f"fetching {url}", total=size, completed=have)
            for chunk in answer.iter_content(1 << 16):
                file.write(chunk)
                bar.advance(task, len(chunk))
    os.replace(part, output_file)
