"""What a run has left in result.json and metrics.jsonl, checked: a page can rely on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...runtime.files import FileError, reading
from ...train.folder import RunFolder

LARGEST = 1e100

# fmt: off
COUNTS = (
    "budget", "cost", "volume_full", "volume", "volume_regular", "volume_factor", "flops_full",
    "flops", "flops_regular", "flop_factor", "params_full", "params",
)
NUMBERS = (
    "accuracy_teacher", "accuracy_hard", "accuracy", "seconds", "dropped", "reopened",
    "latency_full_ms", "latency_ms",
)
TEXTS = "method", "model", "dataset", "metric", "device"
# fmt: on


def load_result(folder: RunFolder) -> dict[str, Any]:
    """The content of result.json. ValueError if the run is not finished, FileError if damaged."""
    if not folder.result.exists():
        raise ValueError(
            f"the run in {folder.path} is not finished: tinybar train --resume {folder.path}"
        )
    with reading(folder.result):
        result = json.loads(folder.result.read_text("utf-8"))
        for wrong in _faults(result):
            raise FileError(f"{folder.result} is damaged: {wrong} is {result[wrong]!r:.60}")
        check_channels(result, folder.result)
    return result


def _faults(result: dict[str, Any]) -> Iterator[str]:
    """The names of entries that are not what they should be."""
    optional = {"training_flops"} & result.keys()
    for name in (*COUNTS, *NUMBERS, *optional):
        if not is_number(result[name]) or result[name] < 0 or (name in COUNTS and not result[name]):
            yield name
    for name in (*TEXTS, *({"device_name"} & result.keys())):
        if not isinstance(result[name], str):
            yield name
    for name in ("warnings", *({"probes", "channels"} & result.keys())):
        if not isinstance(result[name], list):
            yield name
    for weight, cost in result.get("probes", []):
        if not is_number(weight) or not is_number(cost):
            yield "probes"


def is_number(value: Any) -> bool:
    """Whether it is a number, and not so large that a product of two is infinite."""
    return type(value) in (int, float) and abs(value) < LARGEST


def check_channels(result: dict[str, Any], path: Path) -> list[Any] | None:
    """The channels of each convolution, if the result in the file tells. FileError if damaged.

    (name, channels left, channels before, output area).
    """
    channels = result.get("channels")
    for name, left, before, area in channels or ():
        counts = all(type(n) is int for n in (left, before, area))
        if not isinstance(name, str) or not counts or not 0 <= left <= before or area < 1:
            raise FileError(f"{path} is damaged: channels of {name!r:.60}")
    return channels


def load_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; at least one. FileError where it is missing or damaged."""
    with reading(path):
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for record in records:
            if not isinstance(record["stage"], str):
                raise FileError(f"{path} is damaged: a stage is {record['stage']!r:.60}")
            for name in ("cost", "loss_data", "loss_penalty", "f", "b", "accuracy_train"):
                if record[name] is not None and not is_number(record[name]):
                    raise FileError(f"{path} is damaged: {name} is {record[name]!r:.60}")
            for name in {"accuracy_test", "accuracy_val"} & record.keys():
                if record[name] is not None and not is_number(record[name]):
                    raise FileError(f"{path} is damaged: {name} is {record[name]!r:.60}")
        if not records:
            raise FileError(f"{path} holds no epoch")
    return records
