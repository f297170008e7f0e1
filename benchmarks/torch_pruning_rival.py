"""The library that people would pick: Torch-Pruning on the networks, data and epochs of our runs.

    python benchmarks/torch_pruning_rival.py runs/rival RUN... --jobs 2

RUN: folders of `tinybar train`, one for each seed, or a folder of such folders. Each gives its
teacher, its data and its settings. Of a teacher alone (SWEEP/teachers), give --epochs as well.

The teacher, in PyTorch, is pruned by Torch-Pruning's magnitude importance with its defaults (the
group's L2 norm over its mean in the layer), and then trained as BAR's network is: all epochs of the
run, the last at a tenth of the learning rate, with the same distillation, the same Adam, and
minibatches of the same size. The pruning ratio is the smallest that keeps the budget, which is in
activations (--metric volume) or operations (flops): the same share of each layer's channels
("uniform"), or the least important ones of all layers ("global"). Runs that have a result are not
repeated. Results: results/torch-pruning.md and .json.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

import click
import numpy as np
import torch
import torch.nn.functional as F
import torch_pruning as tp
from common import commit, one_thread_each, origin, save, table
from peers.torch_peer import twin
from torch import nn

from tinybar import data
from tinybar.data import NO_AUGMENTATION, Dataset
from tinybar.runtime.files import write_json
from tinybar.train.budget import parse_budget
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.models import load_model

METRICS, SCOPES, FACTORS = ("volume", "flops"), ("uniform", "global"), (2, 4, 8, 16)
VERSION = version("torch_pruning")
STEPS = (1, 20)  # in which to prune: at once, or in many where that does not reach the budget
COARSE, FINE = 1 / 64, 1e-4  # steps of the pruning ratio: to find where it lies, and to stop at

# --- what a network costs ------------------------------------------------------------------------


def costs(net: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Of one image (1, C, H, W): activations of all convolutions' outputs, and their operations."""
    total = dict.fromkeys(METRICS, 0)

    def count(conv, _, output):
        total["volume"] += output.numel()
        total["flops"] += 2 * output.numel() * conv.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net.eval()(image)
    for hook in hooks:
        hook.remove()
    return total


# --- pruning -------------------------------------------------------------------------------------


def pruned(
    teacher: nn.Module, image: torch.Tensor, scope: str, ratio: float, steps: int
) -> nn.Module:
    """The teacher without that share of its channels, which go in so many steps.

    Torch-Pruning leaves a layer as it is in a step that would empty it.
    """
    net = copy.deepcopy(teacher).eval()
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    pruner = tp.pruner.BasePruner(
        net, image, importance, global_pruning=scope == "global", pruning_ratio=ratio,
        iterative_steps=steps, ignored_layers=[net.linear],
    )  # fmt: skip
    for _ in range(steps):
        pruner.step()
    return net


def to_budget(
    teacher: nn.Module, image: torch.Tensor, scope: str, metric: str, budget: int
) -> tuple[int, float] | None:
    """(steps, pruning ratio) that keep the budget, or None."""
    for steps in STEPS:

        def cost(ratio: float, steps=steps) -> int:
            return costs(pruned(teacher, image, scope, ratio, steps), image)[metric]

        ratio = least_ratio(cost, budget)
        if ratio is not None:
            return steps, ratio
    return None


def least_ratio(cost: Callable[[float], int], budget: int) -> float | None:
    """The smallest ratio whose cost keeps the budget, or None.

    The cost need not fall everywhere, since no layer is emptied.
    """
    coarse = map(float, np.arange(0, 1, COARSE))
    high = next((ratio for ratio in coarse if cost(ratio) <= budget), None)
    if not high:  # None, or 0: nothing is to be pruned
        return high
    low = high - COARSE
    while high - low > FINE:
        middle = (low + high) / 2
        low, high = (low, middle) if cost(middle) <= budget else (middle, high)
    return high


# --- training ------------------------------------------------------------------------------------


def distillation_loss(logits, targets, labels, alpha: float, temperature: float):
    """tinybar's `nn.distillation_loss`."""
    soft = F.cross_entropy(logits / temperature, F.softmax(targets / temperature, dim=1))
    return (1 - alpha) * F.cross_entropy(logits, labels) + alpha * temperature**2 * soft


def minibatches(dataset: Dataset, size: int, rng) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """An epoch: images (B, C, H, W) and their places among the training images."""
    images = dataset.normalised(dataset.train.images)
    places = np.arange(len(images))
    for x, index in data.batches(images, places, size, rng, dataset.augmentation):
        yield as_input(x), index


def as_input(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) as PyTorch reads it: (N, C, H, W)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def logits_of(net: nn.Module, images) -> torch.Tensor:
    """(N, K), in evaluation mode. images: (N, H, W, C), normalised."""
    net.eval()
    with torch.inference_mode():
        parts = [net(as_input(images[s : s + 256])) for s in range(0, len(images), 256)]
    return torch.cat(parts)


def accuracy(net: nn.Module, dataset: Dataset) -> float:
    """On the test images."""
    logits = logits_of(net, dataset.normalised(dataset.test.images))
    return float(np.mean(logits.argmax(1).numpy() == dataset.test.labels))


def fine_tune(net: nn.Module, teacher: nn.Module, dataset: Dataset, config: Config) -> None:
    """Train as BAR's network is: for the epochs of its stages, with its loss and optimizer."""
    torch.manual_seed(config.seed)
    rng, labels = np.random.default_rng(config.seed), torch.from_numpy(dataset.train.labels)
    cached = None
    if dataset.augmentation == NO_AUGMENTATION:
        cached = logits_of(teacher, dataset.normalised(dataset.train.images))
    optimizer = torch.optim.Adam(net.parameters(), config.lr, weight_decay=config.weight_decay)
    epochs, slow = sum(config.epochs), config.epochs[2]
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = config.lr / (1 if epoch < epochs - slow else 10)
        net.train()
        for x, index in minibatches(dataset, config.batch_size, rng):
            if cached is None:
                with torch.no_grad():
                    targets = teacher.eval()(x)
            else:
                targets = cached[index]
            loss = distillation_loss(
                net(x), targets, labels[index], config.alpha, config.temperature
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


# --- one run -------------------------------------------------------------------------------------


def run(folder: Path, source: Path, config: Config, metric: str, scope: str, factor: int) -> dict:
    """Costs and accuracies of one pruned network, from its file if it is there."""
    path = folder / f"{scope}-{metric}-{factor}x-seed{config.seed}.json"
    weights = source / "teacher.safetensors"
    settings = {
        "teacher": hashlib.sha256(weights.read_bytes()).hexdigest(), "epochs": list(config.epochs),
        "torch_pruning": VERSION,
    }  # fmt: skip
    if path.exists():
        row = json.loads(path.read_text("utf-8"))
        if row["settings"] != settings:
            raise ValueError(f"{path} was made with other settings: choose another folder")
        return row
    torch.set_num_threads(1)
    dataset = config.dataset()
    teacher = twin(load_model(weights)[0]).eval()
    image = torch.zeros(1, *np.roll(dataset.image_shape, 1))
    full = costs(teacher, image)
    budget = parse_budget(f"{factor}x", full[metric])

    found = to_budget(teacher, image, scope, metric, budget)
    row = {
        "scope": scope, "metric": metric, "factor": factor, "seed": config.seed,
        "model": config.model, "data": dataset.name, "budget": budget,
        "volume_full": full["volume"], "flops_full": full["flops"],
        "accuracy_teacher": accuracy(teacher, dataset), "settings": settings,
    }  # fmt: skip
    if found is not None:
        row["steps"], row["ratio"] = found
        net = pruned(teacher, image, scope, row["ratio"], row["steps"])
        row |= costs(net, image)
        row["accuracy_hard"] = accuracy(net, dataset)
        fine_tune(net, teacher, dataset, config)
        row["accuracy"] = accuracy(net, dataset)
    write_json(path, row)
    print(f"{path.stem}: {row.get('accuracy', 'not reachable')}", flush=True)
    return row


# --- what came out -------------------------------------------------------------------------------


def summary(rows: list[dict]) -> str:
    """A line for each metric, budget and scope: means over the seeds."""
    headings = (
        "budget in", "budget", "channels", "within it", "V factor", "FLOP factor",
        "test accuracy, mean +- s.d.", "per seed",
    )  # fmt: skip
    arms = sorted({(r["metric"], r["factor"], r["scope"]) for r in rows}, key=_place)
    return table(headings, [_line(rows, *arm) for arm in arms])


def _place(arm: tuple[str, int, str]) -> tuple[int, int, int]:
    metric, factor, scope = arm
    return METRICS.index(metric), factor, SCOPES.index(scope)


def _line(rows: list[dict], metric: str, factor: int, scope: str) -> tuple:
    arm = [r for r in rows if (r["metric"], r["factor"], r["scope"]) == (metric, factor, scope)]
    reached = [r for r in arm if "accuracy" in r]
    scores = [r["accuracy"] for r in reached]
    cells = ["not reachable"] * 3
    if reached:
        cells = [f"{mean(r[f'{cost}_full'] / r[cost] for r in reached):.2f}" for cost in METRICS]
        cells.append(f"{mean(scores):.4f}" + (f" +- {stdev(scores):.4f}" if scores[1:] else ""))
    seeds = ", ".join(f"{r['accuracy']:.4f}" if "accuracy" in r else "not reachable" for r in arm)
    return metric, f"{factor}x", scope, f"{len(reached)} of {len(arm)}", *cells, seeds


def _stepwise(rows: list[dict]) -> str:
    runs = [
        f"{r['scope']} {r['factor']}x {r['metric']}" for r in rows if r.get("steps") == STEPS[1]
    ]
    return ", ".join(sorted(set(runs))) or "none did"


def page(rows: list[dict], options: str) -> str:
    """The results as a Markdown page, with how they were made. options: of the command."""
    epochs = rows[0]["settings"]["epochs"]
    one, teachers = rows[0], {r["seed"]: r["accuracy_teacher"] for r in rows}
    return f"""# Torch-Pruning on the same networks

`python benchmarks/torch_pruning_rival.py runs/rival RUN... {options}`,
{origin()}, commit {commit()},
Torch-Pruning {VERSION}, PyTorch {torch.__version__}, one thread each. {one["model"]} on
{one["data"]}: {one["volume_full"]:,} neurons, {one["flops_full"]:,} operations.
Teachers: {", ".join(f"{a:.4f} (seed {seed})" for seed, a in teachers.items())}.

{summary(rows)}

The teacher is pruned and then trained for {sum(epochs)} epochs, the last {epochs[2]} at a tenth of
the learning rate: as many as BAR prunes and fine-tunes for, with the same distillation. Channels go
by `GroupMagnitudeImportance(p=2)`: the same share of each layer (uniform), or the least of all
layers (global). The pruning ratio is the smallest that keeps the budget. Torch-Pruning leaves a
layer as it is in a step that would empty it: where one step misses the budget for that, it takes
{STEPS[1]} ({_stepwise(rows)}), and where these miss it, it is not reachable.
"""


def runs_in(places: tuple[Path, ...]) -> list[Path]:
    """The run folders among the given ones, and in them."""
    found = [folder for place in places for folder in (place, *sorted(place.iterdir()))
             if (folder / "config.toml").exists()]  # fmt: skip
    if not found:
        raise click.ClickException("no folder of a run is given")
    return found


def settings_of(run_folder: Path, epochs: tuple[int, int, int] | None) -> Config:
    """The options of a run, with other epochs if they are given."""
    if epochs is None and not (run_folder / "result.json").exists():
        raise click.ClickException(f"{run_folder} has a teacher alone: give --epochs")
    config = RunFolder.open(run_folder).load_config()
    return replace(config, epochs=epochs or config.epochs)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--jobs", default=2, show_default=True, help="Runs at a time, one thread each.")
@click.option("--metric", type=click.Choice(METRICS), multiple=True, default=["volume"],
              show_default=True, help="What the budget limits; may be repeated.")  # fmt: skip
@click.option("--factor", type=int, multiple=True, default=FACTORS, show_default=True)
@click.option("--epochs", type=int, nargs=3, help="As of `tinybar train`.  [default: the run's]")
def main(folder, runs, jobs, metric, factor, epochs) -> None:
    configs = {run_folder: settings_of(run_folder, epochs) for run_folder in runs_in(runs)}
    if len({config.seed for config in configs.values()}) < len(configs):
        raise click.ClickException("several folders have the same seed: give one for each")
    folder.mkdir(parents=True, exist_ok=True)
    work = [(folder, *item, m, s, f) for item in configs.items()
            for m in metric for f in factor for s in SCOPES]  # fmt: skip
    with one_thread_each(jobs) as pool:
        rows = [future.result() for future in [pool.submit(run, *one) for one in work]]
    options = [f"--jobs {jobs}", *(f"--metric {m}" for m in metric)]
    options += [f"--factor {f}" for f in factor]
    options += [f"--epochs {' '.join(map(str, epochs))}"] if epochs else []
    options = " ".join(options)
    save("torch-pruning", page(rows, options), rows)


if __name__ == "__main__":
    main()
