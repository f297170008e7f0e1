"""`tinybar train`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import __version__
from .options import (
    INTERRUPTED,
    ConfigCommand,
    Flag,
    data_dir_option,
    device_option,
    threads_option,
)


@click.command("train", cls=ConfigCommand, short_help="Train a network and prune it to a budget.")
@data_dir_option
@click.option("--out", cls=Flag, metavar="DIR", type=click.Path(path_type=Path),
              show_default="in runs/, named for the options",
              help="New folder for the run.")  # fmt: skip
@click.option("--resume", cls=Flag, metavar="DIR", type=click.Path(path_type=Path),
              help="Continue the interrupted run in DIR, with its own options.")  # fmt: skip
@click.option("--memory", cls=Flag, is_flag=True, help="Print the peak memory at the end.")
@device_option
@threads_option
def command(preset, out, resume, memory, device, data_dir, **options):
    """Train a network and prune it to a budget at the same time.

    First the full network, the teacher, is trained. Then a network of the same architecture, with
    a gate on every channel, is trained under a budget that falls to the given one. Channels whose
    gates are closed are removed, and the remaining network is fine-tuned.

    The run's folder holds pruned.safetensors, teacher.safetensors, result.json, metrics.jsonl (a
    line per epoch) and config.toml (the options). --resume continues a run that was interrupted.

    \b
    Examples:
      tinybar train
      tinybar train --budget 16x --seed 1 --out runs/tiny
      tinybar train --data photos --model wrn-16-4 --budget 0.25 --metric flops
      tinybar train --resume runs/tiny
    """
    from ..autograd.conv import use_algorithm
    from ..report.tables import peak_memory, result_tables
    from ..report.terminal import Display, plain_console
    from ..report.text import shown
    from ..runtime.arrays import device_name, use_device, use_precision
    from ..train.config import configure
    from ..train.folder import RunFolder, free_folder
    from ..train.result import finish
    from ..train.run import check
    from ..train.run import train as run

    given = {name: value for name, value in options.items() if value is not None}
    if resume is None:
        config = configure(given, preset)
    else:
        folder, config = _interrupted(resume, is_alone=not (given or preset or out))
    use_device(device)
    use_precision(config.precision)
    use_algorithm(config.conv_algorithm)
    dataset = config.dataset(data_dir)
    for note in dataset.notes:
        click.echo(shown(note), err=True)
    budget = check(config, dataset)
    if resume is None:
        folder = RunFolder.create(out or free_folder(Path("runs"), config.name()), config)

    console = plain_console()
    console.print(
        f"tinybar {__version__}: {config.model} on {dataset.name}, budget {budget:,} "
        f"({config.metric}), seed {config.seed}, on {device_name()}, in {folder.path}",
        soft_wrap=True,
    )
    console.print(f"training images are {dataset.augmentation.describe()}")
    try:
        with Display(console, config.metric, config.total_epochs) as display:
            facts = run(config, dataset, folder, display, budget)
        outcome = finish(config, dataset, folder, facts)
    except KeyboardInterrupt:
        message = f"interrupted; resume with `tinybar train --resume {folder.path}`"
        click.echo(shown(message), err=True)
        sys.exit(INTERRUPTED)
    console.print(result_tables(outcome, facts["channels"]))
    if memory:
        console.print(peak_memory(outcome))
    how_long = f"trained for {facts['seconds']:.0f} s; results in {folder.path}"
    console.print(how_long, soft_wrap=True)
    # What is printed may be lost: the results are in files. The budget is enforced: never 1.
    sys.exit(int(outcome["cost"] > budget))


def _interrupted(path: Path, is_alone: bool):
    """(folder, Config) of the run to resume. ValueError if it is complete, or not alone."""
    from ..train.folder import RunFolder

    if not is_alone:
        raise ValueError(
            "--resume takes the run's own options: beside it, only --data-dir, --device, "
            "--threads and --memory can be given"
        )
    folder = RunFolder.open(path)
    config = folder.load_config()
    if folder.result.exists():
        raise ValueError(f"the run in {path} is complete: see {folder.result}")
    return folder, config
