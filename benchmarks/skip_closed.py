"""--skip-closed saves time and changes nothing else: wrn-16-4 at 16x, three seeds, on and off.

    python benchmarks/skip_closed.py runs/skip-closed

Two problems: the digits, and a part of Fashion-MNIST. Each run has a process with one thread, one
run after the other: seed 0 without, seed 0 with, seed 1 without, ... Times are processor times, as
other work may share the machine. Complete runs are not repeated, interrupted ones start again.
Results: results/skip_closed.md and .json.
"""

from __future__ import annotations

import json
import shutil
import time
from itertools import product
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import click
import numpy as np
from common import first, kernels, mean_sd, one_thread_each, origin, save, table

from tinybar import data
from tinybar.autograd import Tensor, probability_open
from tinybar.runtime.files import load_arrays, write_json
from tinybar.train.config import Config, from_table, load_preset
from tinybar.train.folder import RunFolder
from tinybar.train.result import finish
from tinybar.train.run import check, train

BUDGET, MODEL, SEEDS = "16x", "wrn-16-4", range(3)
STAGES = ("teacher", "prune", "fine-tune")
BOUNDS = (0.01, 0.1, 1.0)  # on the total variation, for channels removed for good
KEPT = ("seed", "budget", "volume", "flop_factor", "dropped", "reopened", "accuracy_teacher",
        "accuracy_hard", "accuracy", "seconds")  # fmt: skip


class Problem(NamedTuple):
    """What is trained. images: how many training and test images, None for all."""

    data: str
    images: tuple[int, int] | None
    settings: dict

    def config(self, seed: int, skips: bool) -> Config:
        chosen = {"model": MODEL, "budget": BUDGET, "seed": seed, "skip_closed": skips}
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


def run(folder: Path, problem: str, seed: int, skips: bool) -> dict:
    """Accuracy, cost and times of one training run, from its folder if it is there.

    teacher, prune, fine-tune: processor seconds of the stage, with its tests and checkpoints;
    processor: their sum. seconds: by the clock, epochs alone.
    """
    out = folder / f"{slug(problem)}-{'skipping' if skips else 'plain'}-seed{seed}"
    if not (out / "row.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        config, dataset = PROBLEMS[problem].config(seed, skips), PROBLEMS[problem].dataset()
        run_folder = RunFolder.create(out, config)
        spent, last = dict.fromkeys(STAGES, 0.0), time.process_time()

        def clock(record: dict) -> None:
            nonlocal last
            now = time.process_time()
            spent[record["stage"]] += now - last
            last = now

        facts = train(config, dataset, run_folder, clock, check(config, dataset))
        result = finish(config, dataset, run_folder, facts)
        spent["processor"] = sum(spent.values())
        row = {"problem": problem, "skip_closed": skips} | {key: result[key] for key in KEPT}
        write_json(out / "row.json", row | spent)
    row = json.loads((out / "row.json").read_text())
    print(f"{out.name}: {row['processor']:.0f} s, {row['accuracy']:.4f}", flush=True)
    return row


def slug(problem: str) -> str:
    return problem.lower().replace(", ", "-").replace(" ", "-")


def removable(folder: Path) -> list[dict]:
    """What could be removed for good instead, after each epoch of the pruning stage (seed 0).

    Training without some channels is, draw for draw, training with them until one of their gates
    opens. If P(z > 0) only falls, the distributions of the two trainings differ by a total
    variation of at most (iterations left) x (sum of P over the channels removed). P falls where
    only L_S acts and Adam's first moment points down; it is assumed to fall here, so that the
    counts err on the high side.
    least: the bound for the most unlikely channel alone; channels: how many fit within BOUNDS.
    """
    out, found, problem = folder / "removable", [], PROBLEMS["Digits, sigmoid schedule"]
    if not (out / "removable.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        config, dataset = problem.config(0, skips=False), problem.dataset()
        run = RunFolder.create(out, config)
        per_epoch = len(dataset.train) // config.batch_size

        def look(record: dict) -> None:
            if record["stage"] != "prune":
                return
            arrays, _ = load_arrays(out / "checkpoint.safetensors", "checkpoint")
            gates = [array for name, array in arrays.items() if name.endswith("log_alpha")]
            p = np.sort(probability_open(Tensor(np.concatenate(gates))).data.astype(float))
            bounds = (record["epochs"] - record["epoch"]) * per_epoch * np.cumsum(p)
            within = [int(np.searchsorted(bounds, bound, "right")) for bound in BOUNDS]
            found.append({"epoch": record["epoch"], "least": bounds[0], "channels": within})

        train(config, dataset, run, look, check(config, dataset))
        write_json(out / "removable.json", found[:-1])  # no iteration is left after the last
    return json.loads((out / "removable.json").read_text())


def summary(plain: list[dict], skipping: list[dict]) -> str:
    """A line without and a line with --skip-closed, and their ratio seed by seed, in Markdown."""
    headings = (
        "", "teacher, s", "barrier, s", "fine-tuning, s", "whole run, s", "V <= B",
        "test accuracy, mean +- s.d.",
    )  # fmt: skip
    columns, lines = (*STAGES, "processor"), []
    for name, rows in (("without", plain), ("--skip-closed", skipping)):
        times = [f"{mean([r[column] for r in rows]):.1f}" for column in columns]
        kept = sum(r["volume"] <= r["budget"] for r in rows)
        scores = mean_sd([r["accuracy"] for r in rows])
        lines.append((name, *times, f"{kept} of {len(rows)}", scores))
    ratios = [[a[c] / b[c] for a, b in zip(plain, skipping, strict=True)] for c in columns]
    shown = [f"{mean(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in ratios]
    return table(headings, [*lines, ("times faster, by seed", *shown, "", "")])


def section(problem: str, rows: list[dict]) -> str:
    """The results of one problem, in Markdown."""
    plain, skipping = ([r for r in rows if r["skip_closed"] == s] for s in (False, True))
    limit = mean([r["processor"] / (r["processor"] - r["prune"]) for r in plain])
    return f"""## {problem}

{summary(plain, skipping)}

Test accuracy by seed: {_list(plain, "accuracy")} without, {_list(skipping, "accuracy")} with;
before fine-tuning {_list(plain, "accuracy_hard")} and {_list(skipping, "accuracy_hard")}. If the
pruning stage cost nothing at all, the run would be {limit:.2f} times faster.
"""


def page(rows: list[dict], removed: list[dict]) -> str:
    """The results as a Markdown page, with how they were made."""
    sections = [section(name, [r for r in rows if r["problem"] == name]) for name in PROBLEMS]
    middle, late, last = (removed[len(removed) * n // 4 - (n == 4)] for n in (2, 3, 4))
    return f"""# What `--skip-closed` saves

`python benchmarks/skip_closed.py runs/skip-closed`, {origin()},
{kernels()}; {MODEL} at {BUDGET}, seeds {SEEDS.start} to {SEEDS.stop - 1}. The digits with the
settings of `tinybar/train/presets/digits.toml`, 360 test images; the first 1,024 training and 1,000
test images of Fashion-MNIST, 6 epochs for the teacher, 24 with the barrier, 5 of fine-tuning. One
run after the other, one thread each. Times are processor times, since other work shared the
machine. The time of a stage includes its tests and its checkpoints.

{chr(10).join(sections)}
Only the pruning stage is faster, and only as far as its gates are closed: open channels have to be
computed. With the sigmoid schedule most gates are open for most of the stage; with the exponential
one, which the paper recommends for pruning this severe (Section 3.4), they close early. On images
of 8x8 a step has little to compute in the first place. Every step computes the same logits and
gradients with and without `--skip-closed`. The runs still differ: by rounding, which training
magnifies, and by the running statistics of closed channels, which only evaluation reads.

## Removed for good instead

Training without some channels is, draw for draw, training with them until one of their gates opens.
If P(z > 0) only falls, the distributions of the two differ by a total variation of at most the
iterations left times the sum of P(z > 0). For the most unlikely of all channels alone (digits, seed
0), that bound is {middle["least"]:.0f} after epoch {middle["epoch"]}, {late["least"]:.2f} after
epoch {late["epoch"]}, and {last["least"]:.3f} after epoch {last["epoch"]}, with one epoch left;
then {_counts(last)}.
"""


def _counts(epoch: dict) -> str:
    return ", ".join(
        f"{n} channels fit within {bound:g}"
        for n, bound in zip(epoch["channels"], BOUNDS, strict=True)
    )


def _list(rows: list[dict], key: str) -> str:
    return ", ".join(f"{row[key]:.4f}" for row in rows)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with one_thread_each(1, max_tasks_per_child=1) as pool:
        arms = product(PROBLEMS, SEEDS, (False, True))
        rows = [pool.submit(run, folder, *arm).result() for arm in arms]
        removed = pool.submit(removable, folder).result()
    save("skip_closed", page(rows, removed), {"runs": rows, "removable": removed})


if __name__ == "__main__":
    main()
