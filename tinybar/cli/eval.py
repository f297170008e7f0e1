"""`tinybar eval`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .completion import data_sets, one_of
from .options import (
    GroupedCommand,
    conv_algorithm_option,
    device_option,
    json_option,
    threads_option,
)


@click.command(
    "eval", cls=GroupedCommand, short_help="Measure the test accuracy of a saved network."
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", metavar="NAME|PATH", shell_complete=one_of(data_sets, "file"),
              show_default="the network's own",
              help="Data set to test on: a name, or the path of a folder or archive with images "
              "in test/CLASS, which are converted to the size and colours that the network takes."
              )  # fmt: skip
@click.option("--data-dir", metavar="DIR", type=click.Path(path_type=Path),
              show_default="the run's, or data/cache",
              help="Folder where data sets are looked for, downloaded to, and kept decoded."
              )  # fmt: skip
@click.option("--teacher", is_flag=True, help="Test the full network, not the pruned one.")
@json_option
@device_option
@conv_algorithm_option
@threads_option
def command(run, data, data_dir, teacher, as_json, device, conv_algorithm):
    """Measure the test accuracy of the network in RUN.

    RUN is the folder of a run, or a .safetensors file that a run wrote.

    \b
    Examples:
      tinybar eval runs/digits-wrn-10-2-bar-8x-volume-seed0
      tinybar eval runs/tiny --teacher --json
    """
    from ..autograd.conv import use_algorithm
    from ..report.text import shown
    from ..runtime.arrays import use_device, use_precision
    from ..train.evaluate import evaluate

    use_device(device)
    use_precision("fp32")
    use_algorithm(conv_algorithm)
    outcome = evaluate(run, data, teacher, data_dir)
    for note in outcome.pop("notes"):
        click.echo(shown(note), err=True)
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        click.echo(shown(
            f"test accuracy {100 * outcome['accuracy']:.2f} % on {outcome['images']} images of "
            f"{outcome['dataset']}; volume {outcome['volume']:,}, FLOPs {outcome['flops']:,}, "
            f"parameters {outcome['params']:,}"
        ))  # fmt: skip
