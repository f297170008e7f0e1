"""A training step of a wide network is faster than PyTorch's, with gates and without them.

    pip install -e '.[bench,fast]' && python benchmarks/speed.py

Each row is one call of compare.py: all its engines take turns, each in a process of its own. Rows
that were measured on this machine with as many threads are not repeated (--again repeats them), so
the command can be interrupted; --only REGEX chooses rows. Results: results/speed-cpu.md and .json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
from common import RESULTS, table
from peers import register

from tinybar.bench.case import SMALL, Case
from tinybar.bench.engines import choose_peers
from tinybar.bench.results import bench, machine
from tinybar.bench.table import ratio_text
from tinybar.runtime.files import write_text

PEERS = "torch,tinybar-numpy"
NETWORKS = (("wrn-28-12", 16), ("wrn-16-4", 64), ("wrn-16-1", 64))
AIMS = {"wrn-28-12": 1.5, "wrn-16-4": 1.0, "wrn-16-1": 0.7}  # least ratio, tinybar : PyTorch


def cases(threads: int) -> dict[str, Case]:
    """All rows, by name."""
    found = {}
    for network, batch in NETWORKS:
        for gated in (False, True):
            name = f"{network}, {'gated' if gated else 'plain'}"
            found[name] = Case("step", network, batch_size=batch, gated=gated, threads=threads)
    found[SMALL] = Case("step", SMALL, threads=threads)
    return found


def load(file: Path) -> dict[str, dict]:
    """The rows that are stored."""
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def save(file: Path, rows: dict[str, dict]) -> None:
    """Write one row per line, since a row has thousands of times."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    write_text(file, f"{{\n{lines}\n}}\n")


def is_current(row: dict, case: Case) -> bool:
    """Whether a stored row was measured on this machine, for this case."""
    return row["machine"] == machine() and row["case"] == case.as_dict()


# --- the page ------------------------------------------------------------------------------------


def page(rows: dict[str, dict]) -> str:
    """The results as a Markdown page, with how they were made."""
    about = [_origin(row) for row in rows.values()]
    seconds = ", ".join(f"{s:g}" for s in sorted({row["seconds"] for row in rows.values()}))
    measured = "\n".join(f"- {line}" for line in dict.fromkeys(about))
    versions = dict.fromkeys(
        f"{name} {version}"
        for row in rows.values()
        for engine in row["engines"].values()
        for name, version in engine["versions"].items()
    )
    return f"""# Training steps on the CPU

`python benchmarks/speed.py`, {seconds} s a row: forward pass, cross-entropy, backward pass
and Adam with weight decay, float32, images of 32x32x3. Each engine in a process of its own, all in
turns; medians. The ratio is of images/s, tinybar : PyTorch, in each round of turns: median and
quartiles; above 1, tinybar is faster. "NumPy alone" is tinybar without the `fast` extra. The method
is described in `docs/performance.md`.

{_networks(rows)}

{_small(rows.get(SMALL))}

Measured:

{measured}

With {", ".join(versions)}.
"""


def _origin(row: dict) -> str:
    about = row["machine"]
    return (
        f"{row['date'][:10]}, {about['processor']}, {about['cores']} cores, "
        f"{row['threads']} threads, {about['system']}, Python {about['python']}"
    )


def _networks(rows: dict[str, dict]) -> str:
    headings = (
        "network", "batch", "images/s: tinybar", "NumPy alone", "PyTorch", "ratio", "aim",
        "ratio, NumPy alone", "peak MiB: tinybar", "NumPy alone", "PyTorch",
    )  # fmt: skip
    lines = []
    for name, row in rows.items():
        if name == SMALL:
            continue
        engines = [row["engines"][engine] for engine in ("tinybar", "tinybar-numpy", "torch")]
        speeds = [engine["images_per_second"] for engine in engines]
        lines.append((
            name, row["case"]["batch_size"], *(f"{speed:.4g}" for speed in speeds),
            f"**{ratio_text(row['ratios']['torch'])}**", AIMS[row["case"]["network"]],
            f"{speeds[1] / speeds[2]:.2f}", *(_mebibytes(e["peak_bytes"]) for e in engines),
        ))  # fmt: skip
    return table(headings, lines)


def _small(row: dict | None) -> str:
    if row is None:
        return ""
    lines = []
    for name, engine in row["engines"].items():
        ratio = ratio_text(row["ratios"][name]) if name in row["ratios"] else ""
        speed = f"{engine['images_per_second']:.4g}"
        lines.append((name, speed, ratio, _mebibytes(engine["peak_bytes"])))
    return (
        "The small network (three 3x3 convolutions of 16, 32, 32 channels, no batch norm), batch "
        f"{row['case']['batch_size']}:\n\n"
        + table(("engine", "images/s", "tinybar : it", "peak MiB"), lines)
    )


def _mebibytes(count: int | None) -> str:
    return "?" if count is None else f"{count / 2**20:,.0f}"


def measure(case: Case, seconds: float, listen: Callable[[str], None]) -> dict:
    """One row: PyTorch and NumPy alone; for the small network all peers that are installed."""
    if case.network != SMALL:
        return bench(case, PEERS, seconds, listen)
    installed, missing = choose_peers(None, case)
    peers = ",".join(["tinybar-numpy", *installed])
    return bench(case, peers, seconds, listen) | {"missing": missing}


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure each row.")
@click.option("--only", default="", metavar="REGEX", help="Rows whose name matches.")
@click.option("--again", is_flag=True, help="Repeat rows that were measured before.")
def main(threads: int, seconds: float, only: str, again: bool) -> None:
    register()
    file = RESULTS / "speed-cpu.json"
    wanted = cases(threads)
    rows = {name: row for name, row in load(file).items() if name in wanted}
    for name, case in wanted.items():
        known = name in rows and is_current(rows[name], case)
        if not re.search(only, name) or (known and not again):
            continue
        print(case.title())
        rows[name] = measure(case, seconds, lambda line: print(f"  {line}"))
        for peer, ratio in rows[name]["ratios"].items():
            print(f"  tinybar : {peer} {ratio_text(ratio)}")
        rows = {name: rows[name] for name in wanted if name in rows}
        save(file, rows)
        write_text(file.with_suffix(".md"), page(rows))


if __name__ == "__main__":
    main()
