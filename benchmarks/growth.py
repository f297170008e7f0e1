"""The time of a training step grows no faster than its operations, in width, batch and image size.

    pip install -e '.[fast]' && python benchmarks/growth.py

One thing is changed at a time, starting from wrn-16-2 with 32 images of 32x32x3. Every point has a
process of its own; the points of a series take turns. Results: results/growth-cpu.md and .json.
"""

from __future__ import annotations

from datetime import date
from statistics import median

import click
import numpy as np
from common import origin, save, table

from tinybar import nn, pruning
from tinybar.bench.case import Case
from tinybar.bench.results import machine
from tinybar.bench.runner import Measured, compare

SERIES = {
    "width": {k: {"network": f"wrn-16-{k}"} for k in (1, 2, 4, 8)},
    "batch": {n: {"batch_size": n} for n in (8, 16, 32, 64, 128)},
    "image side": {s: {"image_shape": (s, s, 3)} for s in (8, 16, 32, 64)},
}


def case(threads: int, **changed) -> Case:
    return Case(**{"network": "wrn-16-2", "batch_size": 32, "threads": threads} | changed)


def point(measured: Measured) -> dict:
    """Seconds of a step, its operations, its activations, and the peak memory in bytes."""
    model = nn.build(measured.case.network, 10, measured.case.image_shape)
    n, seconds = measured.case.batch_size, median(np.concatenate(measured.rounds).tolist())
    return {
        "seconds": seconds,
        "spread": np.percentile(np.concatenate(measured.rounds), [25, 75]).tolist(),
        # Backward passes cost twice a forward pass: the gradients of the input and of the weight.
        "flops": 3 * n * pruning.flops(model),
        "neurons": n * pruning.volume(model),
        "peak": measured.peak,
    }


def exponent(sizes: list[float], costs: list[float]) -> float:
    """e of the power law cost = a size^e that fits best: the slope between logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def series(name: str, points: dict[str, dict]) -> str:
    """One series in Markdown, with the exponents that fit it."""
    lines = []
    for size, p in points.items():
        low, high = (1e3 * value for value in p["spread"])
        lines.append((
            size, f"{1e3 * p['seconds']:.1f} ({low:.1f}-{high:.1f})", f"{p['flops'] / 1e9:.2f}",
            f"{p['flops'] / p['seconds'] / 1e9:.0f}", f"{p['neurons']:,}",
            f"{p['peak'] / 2**20:,.0f}",
        ))  # fmt: skip
    headings = name, "ms (quartiles)", "GFLOP", "GFLOP/s", "neurons", "peak MiB"
    time, flops, neurons, peak = (
        exponent([float(size) for size in points], [p[key] for p in points.values()])
        for key in ("seconds", "flops", "neurons", "peak")
    )
    return table(headings, lines) + (
        f"\n\nExponents of {name}: time {time:.2f}, operations {flops:.2f}, "
        f"neurons {neurons:.2f}, peak memory {peak:.2f}."
    )


def page(found: dict, threads: int, seconds: float) -> str:
    """The results as a Markdown page, with how they were made."""
    tables = "\n\n".join(series(name, points) for name, points in found.items())
    return f"""# How the cost of a training step grows

`python benchmarks/growth.py`, {seconds:g} s a series, {origin()},
{threads} threads, Python {machine()["python"]}: forward pass, cross-entropy, backward pass and
Adam, float32. wrn-16-2 with 32 images of 32x32x3; the first column says what is changed. Operations
are those of the convolutions as defined, two for a multiply-add, three passes; Winograd's algorithm
needs a quarter of the multiplications, so that GFLOP/s may be above the processor's peak. Theory:
time is proportional to the operations where products dominate (wide networks), and to the neurons
where memory does (narrow ones). An exponent is the slope between logarithms, over all rows of a
table.

{tables}
"""


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--seconds", default=40.0, show_default=True, help="How long to measure each series.")
def main(threads: int, seconds: float) -> None:
    found = {}
    for name, changes in SERIES.items():
        contenders = {str(size): ("tinybar", case(threads, **c)) for size, c in changes.items()}
        measured = compare(contenders, seconds, lambda line: print(f"  {line}", flush=True))
        found[name] = {size: point(result) for size, result in measured.items()}
    about = {"machine": machine(), "threads": threads, "seconds": seconds}
    about |= {"date": str(date.today()), "series": found}
    save("growth-cpu", page(found, threads, seconds), about)


if __name__ == "__main__":
    main()
