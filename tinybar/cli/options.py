"""Options that several commands share, and the flags made from the options of a `Config`."""

from __future__ import annotations

from functools import cache

import click

INTERRUPTED = 130  # the exit code that shells give to Ctrl-C


class Flag(click.Option):
    """An option that `ConfigCommand` lists under the heading `group`."""

    def __init__(self, *names, group: str = "Run", **details):
        super().__init__(*names, **details)
        self.group = group


class ConfigCommand(click.Command):
    """A command with the options of `Config`, which are made when they are asked for."""

    def get_params(self, context) -> list[click.Parameter]:
        """The options of `Config`, then those of the command itself."""
        return [*config_flags(), *super().get_params(context)]

    def format_options(self, context, formatter) -> None:
        """Write a section of the help for each group."""
        groups: dict[str, list] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Run"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


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
                help=f"{option.help}  [default: {option.default_and_range}]",
            ))  # fmt: skip
    digits = ", ".join(f"{key} = {value}" for key, value in load_preset("digits").items())
    text = (
        f"Preset ({', '.join(preset_names())}) or TOML file to read options from; flags override "
        f"them. The preset digits: {digits}.  [default: digits, for --data digits]"
    )
    return [*flags, Flag(["--preset"], metavar="NAME|FILE.toml", help=text)]


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
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
device_option = click.option(
    "--device", cls=Flag, default="auto", show_default=True, metavar="auto|cpu|gpu|gpu:N",
    help="Device to compute on; auto is a GPU if CuPy sees one, else the CPU.")
conv_algorithm_option = click.option(
    "--conv-algorithm", default="auto", show_default=True, metavar="auto|gather",
    help="Algorithm for convolutions, as for `tinybar train`.")
graph_option = click.option(  # takes effect when it is parsed
    "--graph", cls=Flag, type=click.Choice(["auto", "off"]), default="auto", show_default=True,
    callback=_use_graphs, expose_value=False,
    help="On a GPU, record a step as a CUDA graph and launch it as one, where that is possible.")
threads_option = click.option(  # takes effect when it is parsed
    "--threads", cls=Flag, type=int, metavar="N", callback=_use_threads, expose_value=False,
    show_default="all processors; under mpiexec a share of them",
    help="Number of threads to compute with.")
