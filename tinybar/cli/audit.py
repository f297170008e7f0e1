"""`tinybar audit`."""

from __future__ import annotations

import json
import sys

import click

from .options import GroupedCommand, device_option, json_option


@click.command(
    "audit", cls=GroupedCommand, short_help="Check every gradient and every closed form."
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True,
              help="Seed of the random problems.")  # fmt: skip
@json_option
@device_option
def command(seed, as_json, device):
    """Check the gradient of every primitive, and every closed form.

    The exit code is 1 if a check fails.

    \b
    Examples:
      tinybar audit
      tinybar audit --device gpu --json
    """
    from ..audit import run_audit
    from ..report.tables import audit_table
    from ..report.terminal import plain_console
    from ..runtime.arrays import use_device, use_precision

    use_device(device)
    use_precision("fp32")
    rows = run_audit(seed)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows]))
    else:
        plain_console().print(audit_table(rows))
    if not all(row.passed for row in rows):
        sys.exit(1)
