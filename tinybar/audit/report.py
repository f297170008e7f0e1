"""The audit's table."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ..runtime import arrays
from ..runtime.arrays import device_name
from .checks import Row


def summary(rows: Sequence[Row]) -> str:
    """The closing line: how many checks, how many failed, where."""
    failed = sum(not row.passed for row in rows)
    where = f"{device_name()} ({arrays.device()})"
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{len(rows)} checks, {failed} failed, device {where}, float64, {versions}"


def report(rows: Sequence[Row]):
    """A table of all rows by group, what went wrong in full, and the closing line.

    Returns something that rich prints.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("check", "source"):
        table.add_column(heading, overflow="fold")
    for heading, justify in (("error", "right"), ("bound", "right"), ("", "left")):
        table.add_column(heading, justify=justify, no_wrap=True)
    for group, members in groupby(rows, key=lambda row: row.group):
        table.add_row(Text(group, style="bold"))
        for row in members:
            verdict = Text("pass", style="green") if row.passed else Text("FAIL", style="bold red")
            error, bound = f"{row.error:.1e}", f"{row.bound:.0e}"
            what = Padding(Text(row.name), (0, 0, 0, 2))
            source = Text(row.source, no_wrap=True, overflow="ellipsis")  # in full in --json
            table.add_row(what, source, error, bound, verdict)
    failures = [
        Text(f"FAIL {row.group}: {row.name}: {row.detail}", style="red")
        for row in rows
        if not row.passed
    ]
    return Group(table, *failures, Text(summary(rows), style="bold"))
