"""results.csv: a line for each run that has ended.

It is the record of a sweep: a run with a line in it counts as finished, even if its folder is gone.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ..runtime.files import FileError, reading, write_text
from ..runtime.locks import waited_for

FIRST = ("run", "status", "reason")


def row(
    name: str, keys: dict[str, Any], result: dict[str, Any], reason: str = ""
) -> dict[str, str]:
    """A line. keys: its place in the grid. result: of result.json. reason: of a run that failed."""
    scalars = {key: value for key, value in result.items() if not isinstance(value, (list, dict))}
    if "probes" in result:
        scalars["probes"] = len(result["probes"])
    asked = {f"grid.{key}": value for key, value in keys.items()}
    status = {"run": name, "status": "failed" if reason else "finished", "reason": reason}
    return {key: str(value) for key, value in (status | asked | scalars).items()}


def load(path: Path) -> list[dict[str, str]]:
    """The lines of the file, [] if there is none. Raises FileError where it is damaged."""
    if not path.exists():
        return []
    with reading(path):
        lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""), strict=True))
    for line in lines:
        if None in line or None in line.values() or not line.get("run"):
            raise FileError(
                f"{path} is truncated or damaged: line of {line.get('run') or 'no run'}"
            )
    return [{key: value for key, value in line.items() if value} for line in lines]


def finished(path: Path) -> set[str]:
    """The names of the runs that need not be repeated."""
    return {line["run"] for line in load(path) if line.get("status") == "finished"}


def update(path: Path, rows: list[dict[str, str]]) -> None:
    """Put the lines in the file, over those of the same runs; the others stay."""
    with waited_for(path.with_name("results.lock")):
        lines = {line["run"]: line for line in load(path)}
        for line in rows:  # what is not known any more stays: a teacher's folder may be gone
            lines[line["run"]] = lines.get(line["run"], {}) | line
        ordered = [lines[name] for name in sorted(lines)]
        write_text(path, as_csv(ordered))


def as_csv(lines: list[dict[str, str]]) -> str:
    """The lines as the text of a CSV file."""
    columns = dict.fromkeys((*FIRST, *(key for line in lines for key in line)))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
