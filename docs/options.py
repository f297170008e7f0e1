"""The options page, made from their declarations: `python docs/options.py > docs/options.md`."""

from __future__ import annotations

from collections.abc import Iterable

from tinybar.train.config import Config
from tinybar.train.options import Option, options_of

PAGE = """# Options of a run

`tinybar train` takes these options as flags (`--batch-size 32`; `--no-` turns a switch off, as in
`--no-distill`), and from a TOML file (`--preset FILE.toml`, with lines such as `batch_size = 32`
and `distill = false`); flags override the file. A run writes its options to `config.toml` in its
folder. A default in parentheses says what is done if the option is not given. The last column has
the section of the paper, and the value there if the default is another. `tinybar train --help` has
these options, and those that are not in `config.toml`: where to write and where to compute.

A run that is resumed keeps its options. Those with a * may be given beside `--resume` with another
value, which is remembered: they say where the same data lies now, or how often to save. So may
`--device`, `--threads` and what is printed ([commands.md](commands.md)). Any other that differs is
refused.
"""


def page(options: Iterable[Option]) -> str:
    """The content of docs/options.md: a table for each group."""
    groups: dict[str, list[str]] = {}
    for entry in options:
        flag = f"{entry.flag} {entry.values}".strip().replace("|", "\\|")
        meaning = entry.help + " *" * entry.may_change
        row = f"| `{flag}` | {entry.default_and_range} | {meaning} | {entry.paper} |\n"
        groups.setdefault(entry.group, []).append(row)
    head = "| option | default; range | meaning | paper |\n|---|---|---|---|\n"
    return PAGE + "".join(f"\n## {name}\n\n{head}{''.join(rows)}" for name, rows in groups.items())


if __name__ == "__main__":
    print(page(options_of(Config)), end="")
