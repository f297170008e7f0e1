"""`tinybar sweep`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..runtime.signals import Interrupted
from .completion import grids, one_of
from .options import Flag, GroupedCommand

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
place_option: Any = partial(click.option, cls=Flag, group="Where to run")


@click.command(
    "sweep", cls=GroupedCommand, short_help="Train every combination of a grid of options."
)
@click.argument("grid", metavar="GRID", shell_complete=one_of(grids, "file"))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the runs and results.csv; a sweep in it goes on.",
)
@place_option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="all processors",
    help="Runs at a time on this machine, which share its processors.",
)
@place_option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the Dask cluster whose scheduler is at ADDRESS (tcp://HOST:PORT).",
)
@place_option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="the processors shared out; 1 on a cluster",
    help="Threads of each run.",
)
@place_option("--tls-ca-file", type=FILE, metavar="FILE", help="Certificate authority, for tls://.")
@place_option(
    "--tls-cert", "tls_client_cert", type=FILE, metavar="FILE", help="Certificate, for tls://."
)
@place_option("--tls-key", "tls_client_key", type=FILE, metavar="FILE", help="Its key, for tls://.")
@click.option("--retry", is_flag=True, help="Try again what failed.")
@click.option("--dry-run", is_flag=True, help="List the runs, and train nothing.")
def command(grid, out, jobs, scheduler, threads, retry, dry_run, **tls):
    """Train every combination of the values in GRID, and write DIR/results.csv.

    GRID is a TOML file, or the name of one that tinybar brings: quick, digits, paper-cifar10,
    paper-cifar100, paper-miotcd. Runs that differ in pruning only share one teacher. A sweep
    that was interrupted, or killed, goes on with the same command.

    \b
    Examples:
      tinybar sweep quick --out runs/quick
      tinybar sweep digits --out runs/digits --jobs 2
      tinybar sweep grid.toml --out /shared/sweep --scheduler tcp://node1:8786
    """
    from ..report.sweep_display import SweepDisplay, job_list
    from ..report.terminal import plain_console
    from ..runtime.processors import processors
    from ..sweep.executors import cluster, local
    from ..sweep.grid import load_grid
    from ..sweep.run import Sweep, run

    files = {name: path for name, path in tls.items() if path is not None}
    if scheduler and jobs:
        raise ValueError("--jobs is for this machine: a cluster has as many as its workers take")
    if files and not scheduler:
        raise ValueError("--tls-ca-file, --tls-cert and --tls-key go with --scheduler tls://")
    sweep, console = Sweep(out, load_grid(grid)), plain_console()
    if dry_run:
        for line in job_list(sweep):
            console.print(line, soft_wrap=True)
        return
    if retry:
        sweep.retry()
    if scheduler:
        where, threads = cluster(scheduler, files), threads or 1
    else:
        jobs = jobs or processors()
        where, threads = local(jobs), threads or max(1, processors() // jobs)
    with _goes_on(), where as workers, SweepDisplay(console, sweep) as display:
        run(sweep, workers, threads, display)
    failed = [name for name in sweep.runs if sweep.status(name).startswith("failed")]
    console.print(f"{len(sweep.runs) - len(failed)} of {len(sweep.runs)} runs finished; "
                  f"results in {sweep.results}", soft_wrap=True)  # fmt: skip
    sys.exit(int(bool(failed)))


@contextmanager
def _goes_on():
    """Say, where the block is interrupted, how the sweep goes on."""
    try:
        yield
    except Interrupted as stop:
        click.echo("interrupted; the same command goes on", err=True)
        sys.exit(stop.code)
