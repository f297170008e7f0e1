"""The page of a run: what was asked, what happened, what came out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ...nn import CompactNetwork
from ...pruning.methods.bar import PRESSURE
from ...runtime.files import FileError
from ...train.config import Config, configure
from ...train.folder import RunFolder
from ...train.models import load_model
from ...train.options import flag_of, options_of
from .connectivity import matrix_figure
from .html import render
from .judged import Judged, judge
from .results import load_metrics, load_result
from .run_figures import calibration_figure, channels_figure, over_epochs, stages_of
from .statistics import calibration_error


def run_page(path: Path, with_images: bool = True) -> str:
    """The page of the run in a folder. with_images: judge the pruned network on the test images.

    Raises ValueError for a folder without a finished run, FileError for a damaged file in it.
    """
    folder = RunFolder.open(path)
    config, result = folder.load_config(), load_result(folder)
    records = load_metrics(folder.metrics)
    network, about = load_model(folder.pruned)
    if not isinstance(network, CompactNetwork):
        raise FileError(f"{folder.pruned} holds no pruned network")
    channels = result.get("channels")
    judged, why_not = _judged(config, network, about) if with_images else (None, "--no-test")
    return render(
        "run.html",
        title=f"{result['method']} on {result['dataset']}: {result['volume_factor']:.1f} times "
        f"fewer neurons",
        config=config,
        options=config.as_table(),
        weight=weight_of(config, result),
        result=result,
        kept=result["cost"] <= result["budget"],
        rows=comparison(result),
        stages=stages_of(records),
        over_epochs=over_epochs(records, result),
        channels=channels,
        channels_figure=channels_figure(channels) if channels else None,
        removed=removed_blocks(channels) if channels else None,
        matrix=matrix_figure(network.layout, block_names(network.layout, channels)),
        judged=judged,
        why_not=why_not,
        calibration=calibration_figure(judged.bins) if judged else None,
        ece=calibration_error(judged.bins) if judged else None,
        command=command_of(config),
    )


def _judged(
    config: Config, network: CompactNetwork, about: dict[str, Any]
) -> tuple[Judged | None, str]:
    """What the network says of the test images, or why it cannot be asked."""
    try:
        return judge(network, about, config.dataset()), ""
    except (ValueError, OSError) as error:
        return None, str(error)


def comparison(result: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """(quantity, of the full network, of the pruned one, change)."""
    keys = {
        "volume (neurons)": "volume", "FLOPs of an image": "flops", "parameters": "params",
        f"latency (ms, batch size {result.get('latency_batch', '?')})": "latency_ms",
    }  # fmt: skip
    rows = []
    for name, key in keys.items():
        full = result["latency_full_ms" if key == "latency_ms" else f"{key}_full"]
        factor = f"{full / result[key]:.2f} times less" if result[key] else ""
        rows.append((name, full, result[key], factor))
    return rows


def weight_of(config: Config, result: dict[str, Any]) -> str:
    """The weight of the penalty, as a number where the options tell it."""
    full = result.get(f"{config.metric}_full")
    if config.lambda_ is not None:
        return f"{config.lambda_:g}"
    if config.method == "bar" and full:
        return f"{PRESSURE:g} / V_F = {PRESSURE / full:.3g}"
    return "the method's default"


def removed_blocks(channels: list[Any]) -> list[str]:
    """The blocks whose last convolution has no channel left. channels: of result.json."""
    left = {name.rpartition(".")[0]: n for name, n, _, _ in channels if ".shortcut" not in name}
    return [block.removeprefix("blocks.") for block, n in left.items() if block and not n]


def block_names(layout: dict[str, Any], channels: list[Any] | None) -> list[str]:
    """The places of the compact network's blocks in the full one, if result.json tells.

    A block that lost its path is left where it has a shortcut.
    """
    n, channels = len(layout["blocks"]), channels or []
    parts = [name.split(".") for name, *_ in channels if name.startswith("blocks.")]
    shortcuts = {part[1] for part in parts if part[2] == "shortcut"}
    removed = set(removed_blocks(channels)) - shortcuts
    kept = [k for k in dict.fromkeys(part[1] for part in parts) if k not in removed]
    if len(kept) == n:
        return [f"block {k}" for k in kept]
    return [f"block {k + 1} of {n}" for k in range(n)]


def command_of(config: Config) -> str:
    """A command that begins a run with these options."""
    base = configure({"data": config.data})
    given = {"data": config.data} | {
        o.field: getattr(config, o.field)
        for o in options_of(Config)
        if getattr(config, o.field) != getattr(base, o.field)
    }
    words = ["tinybar", "train"]
    for option in options_of(Config):
        value = given.get(option.field)
        if option.field not in given:
            continue
        if isinstance(value, bool):
            words.append(flag_of(option.key if value else f"no_{option.key}"))
        elif value is not None:
            values = value if isinstance(value, tuple) else (value,)
            words += [flag_of(option.key), *map(str, values)]
    return shlex.join(words)
