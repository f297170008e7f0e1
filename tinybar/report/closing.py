"""What a run is told with at its end: result.json and the closing tables."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..autograd import Tensor, no_grad
from ..data import Dataset
from ..nn import Module
from ..runtime import arrays
from ..runtime.arrays import device_name, synchronize, to_device
from ..train.config import Config
from ..train.folder import RunFolder
from ..train.models import load_model


def latencies(models: list[Module], images: np.ndarray, seconds: float = 1.0) -> list[float]:
    """Milliseconds per batch of each model in evaluation mode: medians of interleaved runs.

    images: one batch (N, H, W, C). The models take turns, so that a change of the machine's speed
    meets all of them; at least five rounds after a warm-up, for about `seconds` in all.
    """
    x, times = Tensor(to_device(images)), [[] for _ in models]
    for model in models:
        model.eval()
    with no_grad():
        for model in models * 2:
            model(x)
        end = time.perf_counter() + seconds
        while len(times[0]) < 5 or time.perf_counter() < end:
            for model, measured in zip(models, times, strict=True):
                synchronize()
                start = time.perf_counter()
                model(x)
                synchronize()
                measured.append(1000 * (time.perf_counter() - start))
    return [median(measured) for measured in times]


def result(config: Config, dataset: Dataset, facts: dict, latency: list[float]) -> dict:
    """The content of result.json. latency: of the full and of the pruned network, milliseconds."""
    return {
        "method": config.method,
        "model": config.model,
        "dataset": dataset.name,
        "seed": config.seed,
        "device": arrays.device(),
        "device_name": device_name(),
        "metric": config.metric,
        "budget": facts["budget"],
        "cost": facts["cost"],
        "volume_full": facts["volume_full"],
        "volume": facts["volume"],
        "volume_regular": facts["volume_regular"],
        "volume_factor": facts["volume_full"] / facts["volume"],
        "flops_full": facts["flops_full"],
        "flops": facts["flops"],
        "flops_regular": facts["flops_regular"],
        "flop_factor": facts["flops_full"] / facts["flops"],
        "params_full": facts["params_full"],
        "params": facts["params"],
        "dropped": facts["dropped"],
        "reopened": facts["reopened"],
        "accuracy_teacher": facts["accuracy_teacher"],
        "accuracy_hard": facts["accuracy_hard"],
        "accuracy": facts["accuracy"],
        **({"accuracy_val": facts["accuracy_val"]} if "accuracy_val" in facts else {}),
        "seconds": facts["seconds"],
        "peak_bytes": facts["peak_bytes"],
        "peak_device_bytes": facts["peak_device_bytes"],
        "latency_full_ms": latency[0],
        "latency_ms": latency[1],
        "latency_batch": min(config.batch_size, len(dataset.test)),
    }


def finish(config: Config, dataset: Dataset, folder: RunFolder, facts: dict) -> dict:
    """Measure both networks' latency, write result.json; returns its content."""
    networks = [load_model(path)[0] for path in (folder.teacher, folder.pruned)]
    images = dataset.normalise(dataset.test.images[: config.batch_size])
    outcome = result(config, dataset, facts, latencies(networks, images))
    folder.finish(outcome)
    return outcome


# --- tables --------------------------------------------------------------------------------------


def closing(outcome: dict, features: list) -> Group:
    """What a person reads when a run has ended."""
    cost = outcome["cost"]
    kept = cost <= outcome["budget"]
    verdict = Text.assemble(
        ("budget kept: " if kept else "OVER BUDGET: ", "bold green" if kept else "bold red"),
        f"{outcome['metric']} {cost:,} of {outcome['budget']:,} ",
        f"({100 * cost / outcome['budget']:.1f} %), ",
        f"after training {outcome['dropped']} features dropped and {outcome['reopened']} reopened",
    )
    return Group(comparison(outcome), features_table(features), connectivity(outcome), verdict)


def connectivity(outcome: dict) -> str:
    """What regular blocks, all of one width in a residual sum, would take (Table 2)."""
    told = []
    for name, key in (("volume", "volume"), ("FLOPs", "flops")):
        regular, mixed = outcome[f"{key}_regular"], outcome[key]
        told.append(f"{name} {regular:,} ({100 * (1 - mixed / regular):.0f} % saved)")
    return f"with regular blocks in place of mixed connectivity: {', '.join(told)}"


def peak_memory(outcome: dict) -> str:
    """The run's peak memory in a line."""
    places = {"host": outcome["peak_bytes"], "device": outcome["peak_device_bytes"]}
    told = [f"{n / 2**20:,.0f} MiB on the {place}" for place, n in places.items() if n is not None]
    return f"peak memory: {', '.join(told) or 'unknown on this system'}"


def comparison(outcome: dict) -> Table:
    """Teacher and pruned network side by side."""
    table = Table(title=f"{outcome['model']} on {outcome['dataset']}, {outcome['method']}")
    for heading in ("", "teacher", "pruned", ""):
        table.add_column(heading, justify="left" if not heading else "right")

    def row(name: str, full: float, pruned: float, form: str) -> None:
        factor = full / pruned if pruned else float("inf")
        table.add_row(name, form.format(full), form.format(pruned), f"{factor:.1f}x less")

    change = 100 * (outcome["accuracy"] - outcome["accuracy_teacher"])
    table.add_row(
        "test accuracy",
        f"{100 * outcome['accuracy_teacher']:.2f} %",
        f"{100 * outcome['accuracy']:.2f} %",
        f"{change:+.2f} points",
    )
    row("volume (neurons)", outcome["volume_full"], outcome["volume"], "{:,}")
    row("FLOPs per image", outcome["flops_full"], outcome["flops"], "{:,}")
    row("parameters", outcome["params_full"], outcome["params"], "{:,}")
    row(
        f"latency (ms, batch {outcome['latency_batch']})",
        outcome["latency_full_ms"],
        outcome["latency_ms"],
        "{:.2f}",
    )
    return table


def features_table(features: list) -> Table:
    """Features left in every convolution; a block that lost its delta is named as removed.

    features: (name, left, before, area) per convolution, in order.
    """
    table = Table(title="features left")
    for heading in ("layer", "left", "of", "", ""):
        table.add_column(heading, justify="right" if heading in ("left", "of") else "left")
    delta_of = {name.rpartition(".")[0]: left for name, left, _, _ in features}
    for name, left, before, _ in features:
        bar = "█" * round(20 * left / before)
        block, _, conv = name.rpartition(".")
        is_removed = block and conv != "shortcut" and not delta_of[block]
        table.add_row(name, str(left), str(before), bar, "block removed" if is_removed else "")
    return table
