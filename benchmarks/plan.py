"""What data parallel training sends in a step, and how long that takes by a stated model.

    python benchmarks/plan.py wrn-28-12 --images 64 --compute 40 --bandwidth 20 --latency 10

Nothing is measured here: `--compute`, `--bandwidth` and `--latency` are what was measured
elsewhere, or assumed. docs/parallel.md has the model.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import click

from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.train.parallel import buckets

GPUS = 8, 16, 32, 64, 128, 256


class Traffic(NamedTuple):
    """What a rank adds over all ranks in one step: bytes of both kinds, and calls of both kinds."""

    gradients: int
    statistics: int
    buckets: int
    reductions: int


def traffic(net: nn.Module) -> Traffic:
    """Of a training step of this network in float32.

    Each batch norm adds two float64 for a channel forward, and two backward.
    """
    parameters: list[Tensor] = net.parameters()
    norms = [m.gamma.size for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    return Traffic(
        sum(p.data.nbytes for p in parameters),
        2 * 2 * 8 * sum(norms),
        len(list(buckets(parameters))),
        2 * len(norms),
    )


def sent(size: int, n: int) -> float:
    """Bytes that each of n ranks sends, and receives, to add `size` bytes: 2 (n - 1) / n of them.

    No all-reduce sends less: a rank's part of the sum needs n - 1 others' once, and goes to them.
    """
    return 2 * (n - 1) / n * size


def communication(of: Traffic, n: int, bandwidth: float, latency: float) -> float:
    """Seconds for the sums of a step, one after the other, none beside the computation.

    bandwidth: bytes a second that a GPU sends, and receives. latency: seconds from one to another;
    an all-reduce has log2(n) such steps up a tree, and as many down.
    """
    steps = 2 * math.ceil(math.log2(n)) * (of.buckets + of.reductions)
    return sent(of.gradients + of.statistics, n) / bandwidth + steps * latency


@click.command()
@click.argument("name", default="wrn-28-12")
@click.option("--image-shape", type=int, nargs=3, default=(32, 32, 3), show_default=True)
@click.option("--classes", type=int, default=10, show_default=True)
@click.option("--images", type=int, required=True, help="Images of a step on each GPU.")
@click.option("--compute", type=float, required=True, help="Milliseconds of such a step alone.")
@click.option("--bandwidth", type=float, required=True, help="GB a second, out of and into a GPU.")
@click.option("--latency", type=float, required=True, help="Microseconds from a GPU to another.")
def main(name, image_shape, classes, images, compute, bandwidth, latency):
    """Print the table for a gated network."""
    of = traffic(nn.build(name, classes, image_shape, nn.HardConcrete))
    print(f"{name}: {of.gradients / 1e6:.1f} MB of gradients in {of.buckets} sums, "
          f"{of.statistics / 1e6:.3f} MB of statistics in {of.reductions}\n")  # fmt: skip
    print("| GPUs | images of a step | MB sent by each | ms for sums | images a second | "
          "of n times one |\n|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for n in GPUS:
        seconds = communication(of, n, 1e9 * bandwidth, 1e-6 * latency)
        share = compute / (compute + 1e3 * seconds)
        rate = share * n * images / (1e-3 * compute)
        megabytes = sent(of.gradients + of.statistics, n) / 1e6
        print(f"| {n} | {n * images:,} | {megabytes:.1f} | {1e3 * seconds:.1f} | {rate:,.0f} | "
              f"{100 * share:.0f} % |")  # fmt: skip


if __name__ == "__main__":
    main()
