"""The command line, a file for each command.

An error is one line on stderr, with exit code 2 for bad input, 3 for a run that diverged and 1 for
another failure; 128 + n for one that signal n ended (130 Ctrl-C, 143 SIGTERM).
Modules that take long to import are imported inside the commands: `tinybar --help` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from difflib import get_close_matches
from typing import Any

import click

from .. import __version__, keep_freed_memory
from ..report.text import outputs, shown
from ..runtime import signals
from ..runtime.environment import is_on
from . import audit, bench, eval, export, info, predict, report, sweep, train
from .options import INTERRUPTED
from .together import as_one

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """The commands in the order in which they were added; one that is unknown has a neighbour."""

    def list_commands(self, context: Any) -> list[str]:
        """The names of the commands."""
        return list(self.commands)

    def resolve_command(self, context: Any, args: list[str]):
        """The command that the first argument names. UsageError, with the nearest, if none."""
        name, known = args[0], ", ".join(self.commands)
        if name in self.commands or name.startswith("-") or context.resilient_parsing:
            return super().resolve_command(context, args)
        near = get_close_matches(name, self.commands, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"the commands are {known}"
        raise click.UsageError(f"no such command {name!r}: {hint}")


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="tinybar")
def cli():
    """Prune convolutional networks to a budget while they train.

    \b
    Examples:
      tinybar train                        the embedded digits, 8 times smaller
      tinybar train --data photos --model wrn-16-4 --budget 16x
      tinybar audit                        check every gradient and closed form

    \b
    Exit codes:
      0  done               2  wrong options, or a file that cannot be used
      1  failed             3  the loss diverged
      128 + n               ended by signal n: 130 by Ctrl-C, 143 by SIGTERM

    docs/commands.md tells what is printed where, and how shells complete.
    """


for _module in (train, sweep, report, eval, predict, export, info, audit, bench):
    cli.add_command(_module.command)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. TINYBAR_DEBUG=1 shows tracebacks.

    Text that stdout does not take is lost, and nothing else. The exit code is 1 then, unless the
    command chose another: `train` has its results in files. A reader that has gone, such as
    `head`, has what it wants.
    """
    with outputs() as stdout:
        code = _run(arguments)
        lost = stdout and stdout.error
        if lost and not isinstance(lost, BrokenPipeError):
            click.echo(f"tinybar: error: cannot write to stdout: {lost.strerror or lost}", err=True)
            code = 1 if code is None else code
        return code or 0


def _run(arguments: list[str] | None) -> int | None:
    """The exit code, None where a command returned without one."""
    try:
        with signals.raised():
            cli.main(arguments, prog_name="tinybar", standalone_mode=False)
        return None
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return None
    except SystemExit as stop:  # of a command that chooses its exit code
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except signals.Interrupted as stop:
        click.echo("interrupted", err=True)
        return stop.code
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (ValueError, TypeError) as error:
        return _fail(error, 2)
    except (RuntimeError, ArithmeticError, OSError, MemoryError) as error:
        return _fail(error, getattr(error, "exit_code", 1))


def _fail(error, code: int) -> int:
    if is_on("TINYBAR_DEBUG", default=False):
        raise
    message = shown(str(error).strip()) or type(error).__name__
    click.echo(f"tinybar: error: {message}", err=True)
    return code


def _show_warning(message, *_) -> None:
    click.echo(f"tinybar: warning: {shown(str(message))}", err=True)


def entry() -> None:
    """The `tinybar` script, in a process of its own."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    keep_freed_memory()
    with as_one():
        sys.exit(main())
