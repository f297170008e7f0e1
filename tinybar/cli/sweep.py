"""`tinybar sweep`."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import click

from ..report.text import shown
from ..runtime.signals import Interrupted

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("sweep", short_help="Train every combination of a grid of options.")
@click.argument("grid", metavar="GRID")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the runs and results.csv; a sweep in it goes on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="all processors",
    help="Runs at a time on this machine, which share its processors.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the Dask cluster whose scheduler is at ADDRESS (tcp://HOST:PORT).",
)
@click.option("--tls-ca-file", type=FILE, metavar="FILE", help="Certificate authority, for tls://.")
@click.option("--tls-client-cert", type=FILE, metavar="FILE", help="Certificate, for tls://.")
@click.option("--tls-client-key", type=FILE, metavar="FILE", help="Its key, for tls://.")
@click.option("--retry", is_flag=True, help="Try again what failed.")
@click.option("--dry-run", is_flag=True, help="List the runs, and train nothing.")  # fmt: skip
def command(grid, out, jobs, scheduler, retry, dry_run, **tls):
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

    sweep, console = Sweep(out, load_grid(grid)), plain_console()
    if retry:
        sweep.retry()
    if dry_run:
        console.print(job_list(sweep))
        return
    files = {name: path for name, path in tls.items() if path is not None}
    where = cluster(scheduler, files) if scheduler else local(jobs or processors())
    with (
        _goes_on(grid, out, scheduler),
        where as (executor, threads),
        SweepDisplay(console, sweep) as display,
    ):
        run(sweep, executor, threads, display)
    failed = [name for name in sweep.runs if sweep.status(name).startswith("failed")]
    console.print(f"{len(sweep.runs) - len(failed)} of {len(sweep.runs)} runs finished; "
                  f"results in {sweep.results}", soft_wrap=True)  # fmt: skip
    sys.exit(int(bool(failed)))


@contextmanager
def _goes_on(grid: str, out: Path, scheduler: str | None):
    """Say, where the block is interrupted, how the sweep goes on."""
    try:
        yield
    except Interrupted as stop:
        where = f" --scheduler {shlex.quote(scheduler)}" if scheduler else ""
        again = f"tinybar sweep {shlex.quote(grid)} --out {shlex.quote(str(out))}{where}"
        click.echo(shown(f"interrupted; go on with `{again}`"), err=True)
        sys.exit(stop.code)
