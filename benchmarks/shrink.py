"""What does --skip-closed save, and what does it cost? wrn-16-4 at 16x, three seeds, on and off.

    python benchmarks/shrink.py runs/shrink

Each run has a process of its own with one thread, one after the other: seed 0 without, seed 0 with,
seed 1 without, ... What counts is the time that the process had a processor, as others may use the
machine, too. Runs that have ended are not repeated; one that was interrupted begins anew. The table
and the figures behind it are written to benchmarks/results/shrink.md and .json. Two problems: the
digits, and a part of Fashion-MNIST.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import click
import numpy as np
from common import first

from tinybar import __version__, data
from tinybar.autograd import Tensor, probability_active
from tinybar.kernels import dispatch
from tinybar.runtime import arrays, threads
from tinybar.runtime.files import load_arrays, write_json
from tinybar.train.config import Config, from_table, load_preset
from tinybar.train.folder import RunFolder
from tinybar.train.result import finish
from tinybar.train.run import STAGES, train

BUDGET, MODEL, SEEDS = "16x", "wrn-16-4", range(3)
BOUNDS = (0.01, 0.1, 1.0)  # on the total variation, for features removed for good
RESULTS = Path(__file__).with_name("results")
KEPT = ("seed", "budget", "volume", "flop_factor", "dropped", "reopened", "accuracy_teacher",
        "accuracy_hard", "accuracy", "seconds")  # fmt: skip


class Problem(NamedTuple):
    """What is trained. images: how many of the training and of the test images, None for all."""

    data: str
    images: tuple[int, int] | None
    settings: dict

    def config(self, seed: int, shrink: bool) -> Config:
        chosen = {"model": MODEL, "budget": BUDGET, "seed": seed, "skip_closed": shrink}
        return from_table({"data": self.data} | self.settings | chosen)

    def dataset(self) -> data.Dataset:
        whole = data.load(self.data)
        return whole if self.images is None else first(whole, *self.images)


FEW_EPOCHS = {"teacher_epochs": 6, "epochs": [24, 4, 1]}
PROBLEMS = {
    "Digits, sigmoid schedule": Problem("digits", None, load_preset("digits")),
    "Fashion-MNIST, exponential schedule": Problem(
        "fashion-mnist", (1024, 1000), {"schedule": "exponential"} | FEW_EPOCHS
    ),
}


def run(folder: Path, problem: str, seed: int, shrink: bool) -> dict:
    """Accuracy, cost and times of one training run, from its folder if it is there.

    teacher, prune, fine-tune: processor seconds of the stage, with its tests and checkpoints;
    processor: their sum. seconds: by the clock, epochs alone.
    """
    out = folder / f"{slug(problem)}-{'shrink' if shrink else 'plain'}-seed{seed}"
    if not (out / "row.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        config, dataset = PROBLEMS[problem].config(seed, shrink), PROBLEMS[problem].dataset()
        run_folder = RunFolder.create(out, config)
        spent, last = dict.fromkeys(STAGES, 0.0), time.process_time()

        def clock(record: dict) -> None:
            nonlocal last
            now = time.process_time()
            spent[record["stage"]] += now - last
            last = now

        facts = train(config, dataset, run_folder, clock)
        result = finish(config, dataset, run_folder, facts)
        times = spent | {"processor": sum(spent.values())}
        row = {"problem": problem, "shrink": shrink} | {key: result[key] for key in KEPT} | times
        write_json(out / "row.json", row)
    row = json.loads((out / "row.json").read_text())
    print(f"{out.name}: {row['processor']:.0f} s, {row['accuracy']:.4f}", flush=True)
    return row


def slug(problem: str) -> str:
    return problem.lower().replace(", ", "-").replace(" ", "-")


def removable(folder: Path) -> list[dict]:
    """What could be removed for good instead, after each epoch of the barrier's stage (seed 0).

    Training without some features is, draw for draw, training with them until one of their gates
    opens. If P(z > 0) only falls, the two laws differ by a total variation of at most (iterations
    left) x (sum of P over the features removed). It falls where nothing but L_S acts and Adam's
    first moment points down; it is taken for granted here, so that the counts err on the high side.
    least: that bound for the most unlikely feature alone; features: how many fit within BOUNDS.
    """
    out, found, problem = folder / "removable", [], PROBLEMS["Digits, sigmoid schedule"]
    if not (out / "removable.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        config, dataset = problem.config(0, shrink=False), problem.dataset()
        run = RunFolder.create(out, config)
        per_epoch = len(dataset.train) // config.batch_size

        def look(record: dict) -> None:
            if record["stage"] != "prune":
                return
            arrays, _ = load_arrays(out / "checkpoint.safetensors")
            gates = [array for name, array in arrays.items() if name.endswith("log_alpha")]
            p = np.sort(probability_active(Tensor(np.concatenate(gates))).data.astype(float))
            bounds = (record["epochs"] - record["epoch"]) * per_epoch * np.cumsum(p)
            within = [int(np.searchsorted(bounds, bound, "right")) for bound in BOUNDS]
            found.append({"epoch": record["epoch"], "least": bounds[0], "features": within})

        train(config, dataset, run, look)
        write_json(out / "removable.json", found[:-1])  # no iteration is left after the last
    return json.loads((out / "removable.json").read_text())


def table(rows: list[dict]) -> str:
    """A line without and a line with --skip-closed, and their ratio seed by seed, in Markdown."""
    lines = [
        "| | teacher, s | barrier, s | fine-tuning, s | whole run, s | V <= B"
        " | test accuracy, mean +- s.d. |",
        "|---|---|---|---|---|---|---|",
    ]
    columns, arms = (*STAGES, "processor"), {}
    for shrink in (False, True):
        arms[shrink] = [r for r in rows if r["shrink"] == shrink]
        times = [mean([r[column] for r in arms[shrink]]) for column in columns]
        scores = [r["accuracy"] for r in arms[shrink]]
        kept = sum(r["volume"] <= r["budget"] for r in arms[shrink])
        lines.append(
            f"| {'--skip-closed' if shrink else 'without'} "
            f"| {' | '.join(f'{seconds:.1f}' for seconds in times)} "
            f"| {kept} of {len(scores)} | {mean(scores):.4f} +- {stdev(scores):.4f} |"
        )
    pairs = list(zip(arms[False], arms[True], strict=True))
    ratios = [[plain[c] / less[c] for plain, less in pairs] for c in columns]
    shown = [f"{mean(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in ratios]
    lines.append(f"| times faster, by seed | {' | '.join(shown)} | | |")
    return "\n".join(lines)


def section(problem: str, rows: list[dict]) -> str:
    """What one of the problems gave, in Markdown."""
    plain, less = ([r for r in rows if r["shrink"] == s] for s in (False, True))
    limit = mean([r["processor"] / (r["processor"] - r["prune"]) for r in plain])
    return f"""## {problem}

{table(rows)}

Test accuracy by seed: {_list(plain, "accuracy")} without, {_list(less, "accuracy")} with; before
fine-tuning {_list(plain, "accuracy_hard")} and {_list(less, "accuracy_hard")}. If the barrier's
stage cost nothing at all, the run would be {limit:.2f} times faster.
"""


def page(rows: list[dict], removed: list[dict]) -> str:
    """The results as a Markdown page, with how they were made."""
    forms = "compiled" if dispatch.is_available() else "plain"
    sections = [section(name, [r for r in rows if r["problem"] == name]) for name in PROBLEMS]
    middle, late, last = (removed[len(removed) * n // 4 - (n == 4)] for n in (2, 3, 4))
    return f"""# What `--skip-closed` saves

`python benchmarks/shrink.py runs/shrink`, {date.today()}, tinybar {__version__} ({forms} forms),
{arrays.device_name()}; {MODEL} at {BUDGET}, seeds {SEEDS.start} to {SEEDS.stop - 1}. The digits
with the settings of `tinybar/presets/digits.toml`, 360 test images; the first 1,024 training and
1,000 test images of Fashion-MNIST, 6 epochs for the teacher, 24 with the barrier, 5 of fine-tuning.
One run after the other, one thread each. The times are those for which the process had a processor:
other work ran on the machine, too. A stage's time is that of its steps, its tests and its
checkpoints.

{chr(10).join(sections)}
Only the barrier's stage is faster, and only as far as its gates are closed: what they let through
has to be computed. With the sigmoid schedule they are open for most of the stage; with the
exponential one, which the paper finds good for pruning this severe (Section 3.4), they close early.
On images of 8x8 a step has little to compute in the first place. Every step computes the same
logits and gradients with and without `--skip-closed`; the runs part from each other by rounding,
which training magnifies, and by the running statistics of what was drawn closed, which only
evaluation reads.

## Removed for good instead

Training without some features is, draw for draw, training with them until one of their gates opens.
If P(z > 0) only falls, the laws of the two differ by a total variation of at most the iterations
left times the sum of P(z > 0). For the most unlikely of all features alone (digits, seed 0), that
bound is {middle["least"]:.0f} after epoch {middle["epoch"]}, {late["least"]:.2f} after epoch
{late["epoch"]}, and {last["least"]:.3f} after epoch {last["epoch"]}, with one epoch left;
then {_counts(last)}.
"""


def _counts(epoch: dict) -> str:
    return ", ".join(
        f"{n} features fit within {bound:g}"
        for n, bound in zip(epoch["features"], BOUNDS, strict=True)
    )


def _list(rows: list[dict], key: str) -> str:
    return ", ".join(f"{row[key]:.4f}" for row in rows)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # of the processes
    arms = [
        (folder, problem, seed, shrink)
        for problem in PROBLEMS
        for seed in SEEDS
        for shrink in (False, True)
    ]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, threads.use_threads, (1,), max_tasks_per_child=1) as pool:
        rows = [pool.submit(run, *arm).result() for arm in arms]
        removed = pool.submit(removable, folder).result()
    text = page(rows, removed)
    (RESULTS / "shrink.md").write_text(text)
    figures = {"runs": rows, "removable": removed}
    write_json(RESULTS / "shrink.json", figures)
    print(text)


if __name__ == "__main__":
    main()
