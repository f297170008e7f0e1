"""The page for whatever folders are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...runtime.files import write_text


def write_report(folders: Sequence[Path], page: Path, with_images: bool = True) -> list[Path]:
    """Write the page of a run, or that of sweeps and several runs. Returns what was written.

    with_images: judge the pruned network of a run on its test images.
    Raises ValueError for a folder that is neither, FileError for a damaged file.
    """
    from .run import run_page
    from .sweep import sweep_page

    for folder in folders:
        if not any((folder / name).exists() for name in ("config.toml", "results.csv")):
            raise ValueError(
                f"{folder} is neither the folder of a run nor that of a sweep: it has no "
                "config.toml and no results.csv"
            )
    if len(folders) == 1 and not (folders[0] / "results.csv").exists():
        write_text(page, run_page(folders[0], with_images))
        return [page]
    text, table = sweep_page(folders)
    rows = page.with_suffix(".csv")
    write_text(page, text)
    write_text(rows, table)
    return [page, rows]
