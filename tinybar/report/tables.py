"""Tables of a run's result, of a network's layers, of the system and of the audit."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from ..audit import Row
from ..runtime import arrays
from ..runtime.arrays import device_name

# --- the result of a run -------------------------------------------------------------------------


def result_tables(outcome: dict[str, Any], channels: list[Any]) -> Group:
    """The tables that end a run, and what became of its budget.

    outcome: the content of result.json. channels: as for `channels_table`.
    """
    cost, budget = outcome["cost"], outcome["budget"]
    kept = cost <= budget
    verdict = Text.assemble(
        ("budget kept: " if kept else "OVER BUDGET: ", "bold green" if kept else "bold red"),
        f"{outcome['metric']} {cost:,} of {budget:,} ({100 * cost / budget:.1f} %)",
    )
    corrections = (
        f"hard pruning closed {outcome['dropped']:,} more channels to keep the budget "
        f"and reopened {outcome['reopened']:,} to use it up"
    )
    warnings = [Text(f"warning: {line}", "bold red") for line in outcome["warnings"]]
    notes = []  # methods of uniform widths have nothing to save and nothing to correct
    if outcome["volume"] < outcome["volume_regular"]:
        notes.append(saving(outcome))
    if outcome["dropped"] or outcome["reopened"]:
        notes.append(corrections)
    tables = comparison(outcome), channels_table(channels)
    return Group(*tables, *notes, verdict, *warnings)


def comparison(outcome: dict[str, Any]) -> Table:
    """The teacher and the pruned network side by side."""
    table = Table(title=f"{outcome['model']} on {outcome['dataset']}, {outcome['method']}")
    for heading in ("", "teacher", "pruned", ""):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")

    def row(name: str, full: float, pruned: float, spec: str) -> None:
        factor = full / pruned if pruned else float("inf")
        table.add_row(name, format(full, spec), format(pruned, spec), f"{factor:.1f}x less")

    before, after = 100 * outcome["accuracy_teacher"], 100 * outcome["accuracy"]
    change = f"{after - before:+.2f} points"
    table.add_row("test accuracy", f"{before:.2f} %", f"{after:.2f} %", change)
    row("volume (neurons)", outcome["volume_full"], outcome["volume"], ",")
    row("FLOPs per image", outcome["flops_full"], outcome["flops"], ",")
    row("parameters", outcome["params_full"], outcome["params"], ",")
    latency = f"latency (ms, batch size {outcome['latency_batch']})"
    row(latency, outcome["latency_full_ms"], outcome["latency_ms"], ".2f")
    return table


def channels_table(channels: list[Any]) -> Table:
    """The channels that every convolution keeps.

    channels: (name, channels left, channels before, output area) of each convolution. A block is
    removed if its last convolution keeps none.
    """
    table = Table(title="channels left")
    table.add_column("convolution", overflow="fold")
    for heading in ("left", "of"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column(max_width=20)  # shrinks before a number does
    left_at_end = {name.rpartition(".")[0]: left for name, left, _, _ in channels}
    for name, left, before, _ in channels:
        block, _, conv = name.rpartition(".")
        is_removed = block and conv != "shortcut" and not left_at_end[block]
        bar = "block removed" if is_removed else Bar(before, 0, left)
        table.add_row(name, str(left), str(before), bar)
    return table


def saving(outcome: dict[str, Any]) -> str:
    """What is saved against regular blocks, all of one width in a residual sum (Table 2)."""
    volume, flops = (
        f"{100 * (1 - outcome[key] / regular):.0f} % of the {regular:,} {unit}"
        for key, unit in (("volume", "neurons"), ("flops", "FLOPs"))
        for regular in [outcome[f"{key}_regular"]]
    )
    return f"mixed connectivity saves {volume} and {flops} of regular blocks"


def peak_memory(outcome: dict[str, Any]) -> str:
    """The peak memory of a run, in a line."""
    places = {"host": outcome["peak_bytes"], "device": outcome["peak_device_bytes"]}
    known = [f"{n / 2**20:,.0f} MiB on the {place}" for place, n in places.items() if n is not None]
    return f"peak memory: {', '.join(known) or 'unknown on this system'}"


# --- networks and systems ------------------------------------------------------------------------


def layer_table(facts: dict[str, Any]) -> Table:
    """The facts of `tinybar info MODEL`."""
    h, w, c = facts["image_shape"]
    title = f"{facts['model']} on {h}x{w}x{c} images"
    # Narrow, and folded where it is too wide nevertheless: no name or number is cut short.
    table = Table(title=title, show_footer=True, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("convolution", "all", overflow="fold")
    for heading in ("weight", "area"):
        table.add_column(heading, justify="right", overflow="fold")
    convolutions = sum(layer["params"] for layer in facts["layers"])
    for heading, sum_ in (
        ("volume", facts["volume"]),
        ("FLOPs", facts["flops"]),
        ("parameters", convolutions),
    ):
        table.add_column(heading, f"{sum_:,}", justify="right", overflow="fold")
    for layer in facts["layers"]:
        table.add_row(
            layer["name"],
            "x".join(map(str, (*layer["kernel"], layer["reads"], layer["writes"]))),
            *(f"{layer[key]:,}" for key in ("area", "volume", "flops", "params")),
        )
    table.caption = f"{facts['params']:,} parameters with batch norm and the linear layer"
    return table


def system_table(facts: dict[str, Any]) -> Table:
    """The facts of `tinybar info --system`, and in red what a GPU lacks."""
    table = Table("", Column(overflow="fold"), title="system", show_header=False)

    def add(key: str, value) -> None:
        table.add_row(key.replace("_", " "), str("none" if value is None else value))

    lines = facts | {"packages": _listed(facts["packages"]), "memory": _memory(facts["memory"])}
    gpu = lines.pop("gpu")
    for key, value in lines.items():
        add(key, value)
    for key, value in gpu.items():
        if key not in ("gpus", "missing"):
            add(key, value)
    for index, card in enumerate(gpu["gpus"]):
        space = _memory({"total": card["memory"], "available": card["free"]})
        add(f"gpu:{index}", f"{card['name']}, compute capability {card['compute_capability']}, "
            f"{space}, {' or '.join(card['precision'])}")  # fmt: skip
    for line in gpu["missing"]:
        table.add_row("a GPU lacks", Text(line, "red"))
    return table


def _listed(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _memory(of: dict[str, Any]) -> str:
    """Bytes in all and available, where the system tells."""
    known = [f"{size / 2**30:.1f} GiB {name}" for name, size in of.items() if size is not None]
    return ", ".join(known) or "unknown"


# --- the audit -----------------------------------------------------------------------------------


def audit_table(rows: Sequence[Row]) -> Group:
    """All checks by group, the details of those that failed, and the summary."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("check", "source"):
        table.add_column(heading, overflow="fold")
    aligned: Any = ("error", "right"), ("bound", "right"), ("", "left")
    for heading, justify in aligned:
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
    return Group(table, *failures, Text(audit_summary(rows), style="bold"))


def audit_summary(rows: Sequence[Row]) -> str:
    """How many checks there were, how many failed, and on what they ran."""
    failed = sum(not row.passed for row in rows)
    where = f"{device_name()} ({arrays.device()})"
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{len(rows)} checks, {failed} failed, device {where}, float64, {versions}"
