"""The page for whatever folders are given."""

from __future__ import annotations

from pathlib import Path

from ...runtime.files import write_text


def write_report(folders: tuple[Path, ...], page: Path, with_images: bool = True) -> list[Path]:
    """Write the page of a run. Returns what was written.

    with_images: judge the pruned network of a run on its test images.
    Raises ValueError for a folder that is none, FileError for a damaged file.
    """
    from .run import run_page

    write_text(page, run_page(folders[0], with_images))
    return [page]
