"""Every run keeps its budget, and more accuracy than random pruning: digits, 2x to 16x, 5 seeds.

    python benchmarks/budgets.py runs/budgets --jobs 2

Each run is a `tinybar train` with the settings of the preset. Runs that have a result are not
repeated, so the command can be interrupted. Results: results/digits-budgets.md and .json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

import click
from common import mean_sd, origin, save, table

FACTORS, SEEDS, METHODS = (2, 4, 8, 16), range(5), ("bar", "scratch")
KEPT = (
    "method", "seed", "budget", "volume", "volume_factor", "volume_regular", "flop_factor",
    "params", "dropped", "reopened", "accuracy_teacher", "accuracy_hard", "accuracy", "seconds",
    "latency_full_ms", "latency_ms",
)  # fmt: skip


def run(folder: Path, method: str, factor: int, seed: int) -> dict:
    """The result of one training run, from its folder if it is there."""
    out = folder / f"{method}-{factor}x-seed{seed}"
    if not (out / "result.json").exists():
        new = ["--out", str(out), "--method", method, "--budget", f"{factor}x", "--seed", str(seed)]
        options = ["--resume", str(out)] if out.exists() else new
        command = [sys.executable, "-m", "tinybar", "train", "--device", "cpu", *options]
        # One thread and no compiled kernels: the figures do not depend on what is installed.
        settings = os.environ | {"OPENBLAS_NUM_THREADS": "1", "TINYBAR_FAST": "off"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=settings)
    result = json.loads((out / "result.json").read_text())
    print(f"{out.name}: V/B {result['volume'] / result['budget']:.3f}, {result['accuracy']:.4f}")
    return {"factor": factor} | {key: result[key] for key in KEPT}


def summary(rows: list[dict]) -> str:
    """A line for each factor and method, in Markdown."""
    headings = (
        "budget", "method", "runs with V <= B", "test accuracy, mean +- s.d.", "lowest", "highest",
        "V / B", "FLOP factor", "V regular / V",
    )  # fmt: skip
    lines = []
    for factor in FACTORS:
        for method in METHODS:
            chosen = [r for r in rows if (r["factor"], r["method"]) == (factor, method)]
            scores = [r["accuracy"] for r in chosen]
            kept = sum(r["volume"] <= r["budget"] for r in chosen)
            lines.append((
                f"{factor}x", method, f"{kept} of {len(chosen)}", mean_sd(scores),
                f"{min(scores):.4f}", f"{max(scores):.4f}",
                f"{mean([r['volume'] / r['budget'] for r in chosen]):.3f}",
                f"{mean([r['flop_factor'] for r in chosen]):.1f}",
                f"{mean([r['volume_regular'] / r['volume'] for r in chosen]):.2f}",
            ))  # fmt: skip
    return table(headings, lines)


def page(rows: list[dict], jobs: int) -> str:
    """The results as a Markdown page, with how they were made."""
    teachers = sorted({(r["seed"], r["accuracy_teacher"]) for r in rows})
    seconds = [r["seconds"] for r in rows if r["method"] == "bar"]
    return f"""# Budgets kept on the digits

`python benchmarks/budgets.py runs/budgets --jobs {jobs}`, {origin()},
{jobs} runs at a time with one thread each; wrn-10-2 of 11,776 neurons with
the settings of `tinybar/train/presets/digits.toml`, seeds {SEEDS.start} to {SEEDS.stop - 1},
360 test images (one of them is 0.0028).

{summary(rows)}

Teachers: {", ".join(f"{accuracy:.4f}" for _, accuracy in teachers)}. A run with the barrier took
{mean(seconds):.0f} s ({min(seconds):.0f} to {max(seconds):.0f}). `scratch` keeps the same share of
every layer's channels, and trains that network from scratch with the same
distillation for the same number of epochs.
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--jobs", default=2, show_default=True, help="Runs at a time, one thread each.")
def main(folder: Path, jobs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    work = [(m, f, s) for f in FACTORS for m in METHODS for s in SEEDS]
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda job: run(folder, *job), work))
    save("digits-budgets", page(rows, jobs), rows)


if __name__ == "__main__":
    main()
