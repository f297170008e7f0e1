"""Options that several commands share, and the flags made from the options of a `Config`."""

from __future__ import annotations

from functools import cache
from typing import Any

import click

from .completion import completer_of, devices, one_of, presets

INTERRUPTED = 130  # the exit code that shells give to Ctrl-C


class Flag(click.Option):
    """An option that `GroupedCommand` lists under the heading `group`."""

    def __init__(self, *names: Any, group: str | None = None, **details: Any):
        super().__init__(*names, **details)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists the options by group; those of no group are `ungrouped`."""

    ungrouped = "Options"

    def format_options(self, context: Any, formatter: Any) -> None:
        """Write a section of the help for each group."""
        groups: dict[str, list[Any]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and isinstance(parameter, click.Option):
                name = getattr(parameter, "group", None) or self.ungrouped
                groups.setdefault(name, []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class ConfigCommand(GroupedCommand):
    """A command with the options of `Config`, which are made when they are asked for."""

    ungrouped = "Run"

    def get_params(self, context: Any) -> list[click.Parameter]:
        """The options of `Config`, then those of the command itself."""
        return [*config_flags(), *super().get_params(context)]


@cache
def config_flags() -> list[click.Option]:
    """The options of `Config`, as flags that are None unless they are given, and --preset.

    click converts a value to its type; `Config` checks it, as it checks one from a TOML file.
    """
    from ..train.config import Config, load_preset, preset_names
    from ..train.options import flag_of, options_of

    flags = []
    for option in options_of(Config):
        for key in filter(None, (option.key, option.alias)):
            flag = flag_of(key)
            name = f"{flag}/{flag_of('no_' + key)}" if option.type is bool else flag
            flags.append(Flag(
                [name, key], type=option.type, nargs=option.count, default=None,
                metavar=option.values or None, hidden=key != option.key, group=option.group,
                shell_complete=completer_of(option),
                help=f"{option.help}  [default: {option.default_and_range}]",
            ))  # fmt: skip
    digits = ", ".join(f"{key} = {value}" for key, value in load_preset("digits").items())
    text = (
        f"Preset ({', '.join(preset_names())}) or TOML file to read options from; flags override "
        f"them. The preset digits: {digits}.  [default: digits, for --data digits]"
    )
    preset = Flag(
        ["--preset"], metavar="NAME|FILE.toml", help=text, shell_complete=one_of(presets, "file")
    )
    return [*flags, preset]


def _use_threads(context, option, n: int | None) -> None:
    from ..runtime import processors, ranks, threads

    if n is not None:
        threads.check_threads(n)
        threads.use_threads(n)
    elif (share := ranks.launched().local_size) > 1:
        threads.use_threads(max(1, processors.processors() // share))


def _use_graphs(context, option, mode: str) -> None:
    from ..runtime import graphs

    graphs.use_graphs(mode)


# fmt: off
json_option: Any = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
device_option: Any = click.option(
    "--device", cls=Flag, group="Computation", default="auto", show_default=True,
    metavar="auto|cpu|gpu|gpu:N", shell_complete=one_of(devices),
    help="Device to compute on; auto is a GPU if CuPy sees one, else the CPU.")
conv_algorithm_option: Any = click.option(
    "--conv-algorithm", cls=Flag, group="Computation", default="auto", show_default=True,
    metavar="auto|gather",
    help="Algorithm for convolutions, as for `tinybar train`.")
graph_option: Any = click.option(  # takes effect when it is parsed
    "--graph", cls=Flag, group="Computation", type=click.Choice(["auto", "off"]), default="auto",
    show_default=True, callback=_use_graphs, expose_value=False,
    help="On a GPU, record a step as a CUDA graph and launch it as one, where that is possible.")
threads_option: Any = click.option(  # takes effect when it is parsed
    "--threads", cls=Flag, group="Computation", type=int, metavar="N", callback=_use_threads,
    expose_value=False, show_default="all processors; under mpiexec a share of them",
    help="Number of threads to compute with.")
