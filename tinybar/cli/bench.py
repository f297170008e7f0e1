"""`tinybar bench`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from .completion import models, one_of
from .options import Flag, GroupedCommand

network_option: Any = partial(click.option, cls=Flag, group="Network")


@click.command(
    "bench",
    cls=GroupedCommand,
    short_help="Time training steps, inference and single convolutions.",
)
@click.argument("model", required=False, shell_complete=one_of(models))
@click.option("--case", "kind", metavar="step|infer", show_default="step; infer with --run",
              help="Time training steps, or inference.")  # fmt: skip
@network_option("--image-shape", type=int, nargs=3, metavar="H W C",
              help="Height, width and channels of the images.  [default: 32 32 3]")  # fmt: skip
@network_option("--classes", type=int, metavar="N", help="Number of classes.  [default: 10]")
@network_option("--batch-size", type=int, metavar="N", default=64, show_default=True,
              help="Images per minibatch.")  # fmt: skip
@network_option("--gated", is_flag=True, help="Put a hard-concrete gate on every channel.")
@click.option("--threads", type=int, metavar="N", show_default="all processors",
              help="Number of threads that each engine may use.")  # fmt: skip
@click.option("--peers", metavar="LIST", show_default="all that are installed",
              help="Engines to compare with, separated by commas: onnxruntime (inference), and "
              "tinybar-numpy (tinybar without compiled kernels).")  # fmt: skip
@network_option("--run", metavar="DIR", type=click.Path(path_type=Path),
              help="Time the pruned and the full network of this run.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Time every convolution by every algorithm.")
@click.option("--launches", is_flag=True,
              help="Count what one gated training step with V and L_BAR asks of a GPU, on the "
              "stand-in for CuPy of the source tree, by primitive.")  # fmt: skip
@click.option("--seconds", type=float, metavar="X", show_default="10; 60 with --layers",
              help="How long to measure.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the results to this file, too.")  # fmt: skip
def command(json_file, **options):
    """Time MODEL on the CPU, in tinybar and in its peers in turn.

    MODEL is a name such as wrn-28-12, or small, a network of three convolutions; it is wrn-16-1 by
    default. Each engine runs in a process of its own, and only one computes at a time. In the
    source tree, benchmarks/compare.py takes the same options and adds other frameworks as peers.

    \b
    Examples:
      tinybar bench
      tinybar bench wrn-28-12 --batch-size 16 --gated --peers tinybar-numpy
      tinybar bench wrn-16-4 --layers --json layers.json
      tinybar bench wrn-16-4 --case infer --peers onnxruntime --threads 1
      tinybar bench --run runs/tiny
      PYTHONPATH=tests/gpu/standin tinybar bench --launches
    """
    from rich.text import Text

    from ..bench.command import execute
    from ..bench.table import render
    from ..report.terminal import plain_console
    from ..report.text import shown
    from ..runtime.files import write_json

    if json_file is not None and not json_file.parent.is_dir():
        raise ValueError(f"--json {json_file}: there is no folder {json_file.parent}")
    console = plain_console()
    with console.status(Text("starting"), spinner="line") as status:  # drawn in ASCII
        facts = execute(**options, listen=lambda line: status.update(Text(shown(line))))
    console.print(render(facts))
    if json_file is not None:
        write_json(json_file, facts)
