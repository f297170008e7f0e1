"""What does --shrink save, and what does it cost? Digits, wrn-16-4, 16x, three seeds, on and off.

    python benchmarks/shrink.py runs/shrink

Both runs of a seed go on side by side, with one thread each, so that neither has the machine more
to itself. Runs whose result exists are not repeated, so the command can be interrupted. The table
and the figures behind it are written to benchmarks/results/shrink-digits.md and .json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import click

from tinybar import __version__, accelerate, backend

SEEDS, STAGES = range(3), ("teacher", "prune", "fine-tune")
RESULTS = Path(__file__).with_name("results")
OPTIONS = ["--model", "wrn-16-4", "--budget", "16x", "--threads", "1", "--device", "cpu"]


def run(folder: Path, seed: int, shrink: bool) -> dict:
    """Accuracy, cost and seconds per stage of one training run, from its folder if it is there."""
    out = folder / f"{'shrink' if shrink else 'plain'}-seed{seed}"
    if not (out / "result.json").exists():
        new = ["--out", str(out), "--seed", str(seed), *OPTIONS, *["--shrink"] * shrink]
        resumed = ["--resume", str(out), "--threads", "1"]
        command = [sys.executable, "-m", "tinybar", "train", *(resumed if out.exists() else new)]
        settings = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=settings)
    result = json.loads((out / "result.json").read_text())
    kept = ("seed", "budget", "volume", "flop_factor", "accuracy_teacher", "accuracy", "seconds")
    row = {"shrink": shrink} | {key: result[key] for key in kept}
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for stage in STAGES:
        row[stage] = sum(e["seconds"] for e in epochs if e["stage"] == stage)
    print(f"{out.name}: {row['seconds']:.0f} s, {row['accuracy']:.4f}", flush=True)
    return row


def table(rows: list[dict]) -> str:
    """A line without and a line with --shrink, and their ratio, in Markdown."""
    lines = [
        "| | teacher, s | barrier, s | fine-tuning, s | whole run, s | V <= B"
        " | test accuracy, mean +- s.d. |",
        "|---|---|---|---|---|---|---|",
    ]
    columns = (*STAGES, "seconds")
    means = {}
    for shrink in (False, True):
        chosen = [r for r in rows if r["shrink"] == shrink]
        means[shrink] = [mean([r[column] for r in chosen]) for column in columns]
        scores = [r["accuracy"] for r in chosen]
        kept = sum(r["volume"] <= r["budget"] for r in chosen)
        lines.append(
            f"| {'--shrink' if shrink else 'without'} "
            f"| {' | '.join(f'{seconds:.0f}' for seconds in means[shrink])} "
            f"| {kept} of {len(chosen)} | {mean(scores):.4f} +- {stdev(scores):.4f} |"
        )
    ratios = [f"{plain / less:.2f}" for plain, less in zip(*means.values(), strict=True)]
    lines.append(f"| times faster | {' | '.join(ratios)} | | |")
    return "\n".join(lines)


def page(rows: list[dict]) -> str:
    """The results as a Markdown page, with how they were made."""
    forms = "compiled" if accelerate.is_available() else "plain"
    scores = {s: [f"{r['accuracy']:.4f}" for r in rows if r["shrink"] == s] for s in (False, True)}
    return f"""# What `--shrink` saves

`python benchmarks/shrink.py runs/shrink`, {date.today()}, tinybar {__version__} ({forms} forms),
{backend.device_name()}, both runs of a seed side by side, one thread each; wrn-16-4 on the digits
at 16x with the settings of `tinybar/presets/digits.toml`, seeds {SEEDS.start} to {SEEDS.stop - 1},
360 test images (one of them is 0.0028).

{table(rows)}

Test accuracy by seed: {", ".join(scores[False])} without, {", ".join(scores[True])} with. The
gradients of a step are the same with and without; runs part from each other by rounding, and by the
running statistics of what was drawn closed, which do not move with `--shrink`.
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        rows = [
            row
            for seed in SEEDS
            for row in pool.map(lambda shrink, seed=seed: run(folder, seed, shrink), (False, True))
        ]
    text = page(rows)
    (RESULTS / "shrink-digits.md").write_text(text)
    (RESULTS / "shrink-digits.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
