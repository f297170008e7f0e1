"""How does the cost of a training step grow with width, batch and image size?

    pip install -e '.[fast]' && python benchmarks/growth.py

One thing is changed at a time, about wrn-16-2 with 32 images of 32x32x3. Each step has a process of
its own, all in turns. Results, beside the theory: results/growth-cpu.md and .json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import click
import numpy as np

from tinybar import __version__, nn, pruning
from tinybar.bench.case import Case
from tinybar.bench.results import machine
from tinybar.bench.runner import Measured, compare
from tinybar.runtime.files import write_text

RESULTS = Path(__file__).with_name("results")
SERIES = {
    "width": {k: {"network": f"wrn-16-{k}"} for k in (1, 2, 4, 8)},
    "batch": {n: {"batch_size": n} for n in (8, 16, 32, 64, 128)},
    "image side": {s: {"image_shape": (s, s, 3)} for s in (8, 16, 32, 64)},
}


def case(threads: int, **changed) -> Case:
    return Case(**{"network": "wrn-16-2", "batch_size": 32, "threads": threads} | changed)


def point(measured: Measured) -> dict:
    """Seconds of a step, its operations and activations, and the peak memory."""
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
    """e of the power law cost = a size^e that fits best: the slope between the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def table(name: str, points: dict[str, dict]) -> str:
    """One series in Markdown, with the exponents that fit it."""
    lines = [
        f"| {name} | ms (quartiles) | GFLOP | GFLOP/s | neurons | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    for size, p in points.items():
        low, high = (1e3 * value for value in p["spread"])
        lines.append(
            f"| {size} | {1e3 * p['seconds']:.1f} ({low:.1f}-{high:.1f}) | {p['flops'] / 1e9:.2f} "
            f"| {p['flops'] / p['seconds'] / 1e9:.0f} | {p['neurons']:,} "
            f"| {p['peak'] / 2**20:,.0f} |"
        )
    sizes = [float(size) for size in points]
    grows = {
        key: exponent(sizes, [p[key] for p in points.values()])
        for key in ("seconds", "flops", "neurons", "peak")
    }
    return "\n".join(lines) + (
        f"\n\nExponents of {name}: time {grows['seconds']:.2f}, operations {grows['flops']:.2f}, "
        f"neurons {grows['neurons']:.2f}, peak memory {grows['peak']:.2f}."
    )


def page(found: dict, threads: int, seconds: float) -> str:
    """The results as a Markdown page, with how they were made."""
    about = machine()
    tables = "\n\n".join(table(name, points) for name, points in found.items())
    return f"""# How the cost of a training step grows

`python benchmarks/growth.py`, {seconds:g} s a series, {date.today()}, tinybar {__version__},
{about["processor"]}, {threads} threads, Python {about["python"]}: forward pass, cross-entropy,
backward pass and Adam, float32. wrn-16-2 with 32 images of 32x32x3, but for what the first column
says. Operations are those of the convolutions as defined, two for a multiply-add, three passes;
Winograd's form does a quarter of the multiplications, so that GFLOP/s may be above the processor's
peak. Theory: time as the operations where products dominate (wide networks), as the neurons where
memory does (narrow ones). An exponent is the slope between logarithms, over all rows of a table.

{tables}
"""


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--seconds", default=40.0, show_default=True, help="Of measuring, for each series.")
def main(threads: int, seconds: float) -> None:
    listen: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)  # noqa: E731
    found = {}
    for name, changes in SERIES.items():
        contenders = {str(size): ("tinybar", case(threads, **c)) for size, c in changes.items()}
        measured = compare(contenders, seconds, listen)
        found[name] = {size: point(result) for size, result in measured.items()}
        print(table(name, found[name]), flush=True)
    about = {
        "machine": machine(),
        "threads": threads,
        "seconds": seconds,
        "date": str(date.today()),
    }
    text = json.dumps(about | {"series": found}, indent=1)
    write_text(RESULTS / "growth-cpu.json", text + "\n")
    write_text(RESULTS / "growth-cpu.md", page(found, threads, seconds))


if __name__ == "__main__":
    main()
