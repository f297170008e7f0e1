"""Budgets in volume beat budgets in FLOPs (Fig. 8), and mixed connectivity saves cost (Table 2).

    python benchmarks/metrics.py runs/metrics --jobs 2

wrn-10-1 on Fashion-MNIST, trained on its first 2,000 images, tested after every epoch on 1,000 and
at the end on all 10,000. Budgets of 2x to 16x in volume and in FLOPs, two seeds; the runs of a seed
have the same teacher. Complete runs are not repeated, interrupted ones are resumed. Results:
results/metrics.md, .json and .svg (the plot needs matplotlib).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from statistics import mean, stdev

import click
import numpy as np
from common import RESULTS, first, one_thread_each, origin, save, table

from tinybar import data
from tinybar.runtime.files import write_json
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.images import accuracy
from tinybar.train.models import load_model
from tinybar.train.result import finish
from tinybar.train.run import check, train

METRICS, FACTORS, SEEDS = ("volume", "flops"), (2, 4, 8, 16), (0, 1)
NAMES = {"volume": "V-trained", "flops": "F-trained"}
KEPT = ("seed", "metric", "budget", "volume", "volume_full", "volume_factor", "volume_regular",
        "flops", "flops_full", "flop_factor", "flops_regular", "seconds")  # fmt: skip


def run(folder: Path, metric: str, factor: int, seed: int) -> dict:
    """Costs and accuracies of one training run, from its folder if it is there."""
    out = folder / f"{metric}-{factor}x-seed{seed}"
    if not (out / "row.json").exists():
        whole = data.load("fashion-mnist")
        dataset = first(whole, 2000, 1000)
        run_folder = RunFolder.open(out) if out.exists() else _new(out, metric, factor, seed)
        config = run_folder.load_config()
        facts = train(config, dataset, run_folder, _mute, check(config, dataset))
        result = finish(config, dataset, run_folder, facts)
        row = {"factor": factor} | {key: result[key] for key in KEPT}
        images = dataset.normalise(whole.test.images)
        for name in ("teacher", "pruned"):
            model = load_model(out / f"{name}.safetensors")[0]
            row[f"accuracy_{name}"] = accuracy(model, images, whole.test.labels)
        write_json(out / "row.json", row)
    row = json.loads((out / "row.json").read_text())
    print(f"{out.name}: V {row['volume_factor']:.2f}x, FLOPs {row['flop_factor']:.2f}x, "
          f"{row['accuracy_pruned']:.4f}", flush=True)  # fmt: skip
    return row


def _new(out: Path, metric: str, factor: int, seed: int) -> RunFolder:
    chosen = {"metric": metric, "budget": f"{factor}x", "seed": seed}
    teacher = None if _makes_the_teacher(metric, factor) else str(_teacher(out.parent, seed))
    settings = {"model": "wrn-10-1", "teacher_epochs": 9, "epochs": (14, 5, 2), "teacher": teacher}
    return RunFolder.create(out, Config(data="fashion-mnist", **settings, **chosen))


def _makes_the_teacher(metric: str, factor: int) -> bool:
    return (metric, factor) == (METRICS[0], FACTORS[0])


def _teacher(folder: Path, seed: int) -> Path:
    return folder / f"{METRICS[0]}-{FACTORS[0]}x-seed{seed}" / "teacher.safetensors"


def _mute(record: dict) -> None:
    """No progress bar, since several runs are trained at once."""


# --- what came out -------------------------------------------------------------------------------


def runs_table(rows: list[dict]) -> str:
    """A line for each metric and budget: means over the seeds."""
    headings = (
        "trained for", "budget", "within it", "V factor", "FLOP factor", "test accuracy", "per seed"
    )  # fmt: skip
    lines = []
    for metric in METRICS:
        for factor in FACTORS:
            chosen = _chosen(rows, metric, factor)
            kept = sum(r[metric] <= r["budget"] for r in chosen)
            scores = [r["accuracy_pruned"] for r in chosen]
            lines.append((
                metric, f"{factor}x", f"{kept} of {len(chosen)}",
                f"{mean(r['volume_factor'] for r in chosen):.2f}",
                f"{mean(r['flop_factor'] for r in chosen):.2f}",
                f"{mean(scores):.4f}", ", ".join(f"{s:.4f}" for s in scores),
            ))  # fmt: skip
    return table(headings, lines)


def curve(rows: list[dict], metric: str, seed: int, cost: str) -> tuple[np.ndarray, np.ndarray]:
    """Factors of that cost, rising, and the accuracies that belong to them."""
    chosen = [r for r in rows if (r["metric"], r["seed"]) == (metric, seed)]
    points = sorted((r[f"{cost}_factor"], r["accuracy_pruned"]) for r in chosen)
    return tuple(np.array(points).T)


def advantage(rows: list[dict], seed: int, cost: str) -> tuple[float, float, float]:
    """Accuracy of the V-trained less that of the F-trained at the same factor of `cost`.

    Both curves are linear in log(factor) between their points, and compared on a grid over the
    range that both cover. Returns the mean difference, and the ends of the range.
    """
    volume, flops = (curve(rows, metric, seed, cost) for metric in METRICS)
    low, high = max(volume[0][0], flops[0][0]), min(volume[0][-1], flops[0][-1])
    grid = np.linspace(np.log(low), np.log(high), 101)
    at = [np.interp(grid, np.log(factors), scores) for factors, scores in (volume, flops)]
    return float(np.mean(at[0] - at[1])), low, high


def advantage_table(rows: list[dict]) -> str:
    """A line for each cost and seed: which training is better at equal cost."""
    headings = "at the same", "seed", "range covered by both", "V-trained - F-trained", "better"
    lines = []
    for cost, name in (("volume", "volume"), ("flop", "FLOPs")):
        for seed in SEEDS:
            difference, low, high = advantage(rows, seed, cost)
            better = NAMES["volume" if difference > 0 else "flops"]
            lines.append((name, seed, f"{low:.1f}x to {high:.1f}x", f"{difference:+.4f}", better))
    return table(headings, lines)


def connectivity_table(rows: list[dict]) -> str:
    """Table 2 of the paper for the V-trained networks: regular against mixed connectivity."""
    headings = (
        "budget", "V regular", "V mixed", "reduction", "FLOPs regular", "FLOPs mixed", "reduction"
    )  # fmt: skip
    lines = []
    for factor in FACTORS:
        chosen, cells = _chosen(rows, "volume", factor), [f"{factor}x"]
        for cost in ("volume", "flops"):
            regular, mixed = (mean(r[key] for r in chosen) for key in (f"{cost}_regular", cost))
            saved = [1 - r[cost] / r[f"{cost}_regular"] for r in chosen]
            seeds = ", ".join(f"{100 * s:.0f}" for s in saved)
            cells += f"{regular:,.0f}", f"{mixed:,.0f}", f"{100 * mean(saved):.0f} % ({seeds})"
        lines.append(cells)
    return table(headings, lines)


def _chosen(rows: list[dict], metric: str, factor: int) -> list[dict]:
    return [r for r in rows if (r["metric"], r["factor"]) == (metric, factor)]


def page(rows: list[dict]) -> str:
    """The results as a Markdown page, with how they were made."""
    teachers = [r["accuracy_teacher"] for r in rows if _makes_the_teacher(r["metric"], r["factor"])]
    spread = [stdev(r["accuracy_pruned"] for r in _chosen(rows, m, f))
              for m in METRICS for f in FACTORS]  # fmt: skip
    return f"""# Volume against FLOPs, mixed against regular connectivity

`python benchmarks/metrics.py runs/metrics`, {origin()}.
wrn-10-1 on Fashion-MNIST: trained on the first 2,000 images, {len(SEEDS)}
seeds, 9 epochs for the teacher, 14 with the barrier, 7 of fine-tuning; accuracies on all 10,000
test images. Teachers: {", ".join(f"{t:.4f}" for t in teachers)}; volume {rows[0]["volume_full"]:,},
FLOPs {rows[0]["flops_full"]:,}.

## Fig. 8: the metric that is trained for

{runs_table(rows)}

The same factor means the same cost in the two metrics, so the trainings are compared at equal cost:
accuracy between the budgets is interpolated (linear in the logarithm of the factor), and averaged
over the range that both cover.

{advantage_table(rows)}

The two seeds of a setting differ by a standard deviation of {mean(spread):.4f} on average: a
difference smaller than that is none.

![Test accuracy over volume factor and FLOP factor](metrics.svg)

## Table 2: what mixed connectivity saves

Of the networks trained for volume. Per seed in brackets.

{connectivity_table(rows)}
"""


def plot(rows: list[dict], path: Path) -> None:
    """Fig. 8: accuracy over either factor, a line per metric and seed."""
    import matplotlib.pyplot as plt

    plt.rcParams |= {"font.size": 10, "svg.hashsalt": "tinybar", "svg.fonttype": "none"}
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True, layout="constrained")
    colours = {"volume": "#2166ac", "flops": "#d6604d"}
    for axes, (cost, label) in zip(panels, (("volume", "volume"), ("flop", "FLOP")), strict=True):
        for metric in METRICS:
            for seed, style in zip(SEEDS, ("o-", "s--"), strict=True):
                factors, scores = curve(rows, metric, seed, cost)
                name = f"{NAMES[metric]}, seed {seed}"
                axes.plot(factors, 100 * scores, style, color=colours[metric], ms=4, label=name)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}x")
        axes.set_xlabel(f"{label} factor")
    panels[0].set_ylabel("test accuracy (%)")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--jobs", default=1, show_default=True, help="Runs at a time, one thread each.")
def main(folder: Path, jobs: int) -> None:
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    arms = [(m, f, seed) for seed in SEEDS for m in METRICS for f in FACTORS]
    arms.sort(key=lambda arm: not _makes_the_teacher(*arm[:2]))  # these are completed first
    with one_thread_each(jobs) as pool:
        teachers = [pool.submit(run, folder, *arm) for arm in arms[: len(SEEDS)]]
        rows = [made.result() for made in teachers]
        rows += [r.result() for r in [pool.submit(run, folder, *arm) for arm in arms[len(SEEDS) :]]]
    if importlib.util.find_spec("matplotlib"):
        plot(rows, RESULTS / "metrics.svg")
    save("metrics", page(rows), rows)


if __name__ == "__main__":
    main()
