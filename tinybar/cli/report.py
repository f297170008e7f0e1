"""`tinybar report`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import GroupedCommand, device_option, threads_option


@click.command(
    "report",
    cls=GroupedCommand,
    short_help="Make a page of figures and tables from runs and sweeps.",
)
@click.argument("folders", metavar="RUN|SWEEP...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option("-o", "--output", metavar="FILE.html", type=click.Path(path_type=Path),
              show_default="report.html in the first folder",
              help="The page to write.")  # fmt: skip
@click.option("--no-test", is_flag=True,
              help="Leave out what needs the test images of a run.")  # fmt: skip
@device_option
@threads_option
def command(folders, output, no_test, device):
    """Make one self-contained page from the folder of a run, or from those of sweeps and runs.

    Of a run, it shows the budget and the losses over the epochs, what is left of every layer, the
    connections that were found, and the images that the pruned network gets wrong. Of a sweep or
    of several runs, it compares the methods; all rows go to FILE.csv beside the page.

    \b
    Examples:
      tinybar report runs/tiny
      tinybar report runs/digits -o digits.html
      tinybar report runs/bar runs/magnitude -o two.html
    """
    from ..report.pages.write import write_report
    from ..runtime.arrays import use_device, use_precision

    use_device(device)
    use_precision("fp32")
    for path in write_report(folders, output or folders[0] / "report.html", not no_test):
        click.echo(str(path))
