"""The result of a run: the content of result.json."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..data import Dataset
from ..nn import Module
from ..runtime import arrays
from ..runtime.arrays import device_name, synchronize, to_device
from .config import Config
from .folder import RunFolder
from .models import load_model


def finish(
    config: Config, dataset: Dataset, folder: RunFolder, facts: dict[str, Any]
) -> dict[str, Any]:
    """Measure the latency of both networks and write result.json. Returns its content."""
    networks = [load_model(path)[0] for path in (folder.teacher, folder.pruned)]
    images = dataset.normalise(dataset.test.images[: config.batch_size])
    outcome = result(config, dataset, facts, latencies(networks, images))
    folder.finish(outcome)
    return outcome


def result(
    config: Config, dataset: Dataset, facts: dict[str, Any], latency: list[float]
) -> dict[str, Any]:
    """The content of result.json.

    facts: as `train` returns them. latency: of the full and of the pruned network, milliseconds.
    """
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
        "channels": facts["channels"],
        "dropped": facts["dropped"],
        "reopened": facts["reopened"],
        "accuracy_teacher": facts["accuracy_teacher"],
        "accuracy_hard": facts["accuracy_hard"],
        "accuracy": facts["accuracy"],
        **({"accuracy_val": facts["accuracy_val"]} if "accuracy_val" in facts else {}),
        "warnings": facts["warnings"],
        **({"probes": facts["probes"]} if "probes" in facts else {}),
        "training_flops": facts["training_flops"],
        "seconds": facts["seconds"],
        "peak_bytes": facts["peak_bytes"],
        "peak_device_bytes": facts["peak_device_bytes"],
        "latency_full_ms": latency[0],
        "latency_ms": latency[1],
        "latency_batch": min(config.batch_size, len(dataset.test)),
    }


def latencies(models: Sequence[Module], images: np.ndarray, seconds: float = 1.0) -> list[float]:
    """Milliseconds per minibatch of each model in evaluation mode: medians of interleaved passes.

    images: one minibatch (N, H, W, C). The models take turns, so that a change of the machine's
    speed meets all of them: at least five rounds after a warm-up, for about `seconds` in all.
    """
    x = Tensor(to_device(images))
    times: list[list[float]] = [[] for _ in models]
    for model in models:
        model.eval()
    with no_grad():
        for model in [*models, *models]:
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
