"""What a shell completes: names and values. Paths are left to the shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

Completer = Callable[[Context, Parameter, str], list[CompletionItem]]
MODELS = "wrn-10-2", "wrn-16-4", "wrn-28-12", "resnet-20", "resnet-56", "resnet50"  # such as these


def one_of(values: Callable[[], Iterable[str]], paths: str = "") -> Completer:
    """Complete to one of the values, or to a path where none of them begins so.

    values: is called when a shell asks, not before. paths: "file", "dir" or "".
    """

    def complete(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
        found = [CompletionItem(value) for value in values() if value.startswith(begun)]
        return found or [CompletionItem(begun, type=paths)] * bool(paths)

    return complete


def data_sets() -> Iterable[str]:
    """The names of data sets."""
    from ..data import DATASETS

    return DATASETS


def presets() -> Iterable[str]:
    """The presets that tinybar brings."""
    from ..train.config import preset_names

    return preset_names()


def grids() -> Iterable[str]:
    """The grids that tinybar brings."""
    from ..sweep.grid import grid_names

    return grid_names()


def devices() -> Iterable[str]:
    """Where to compute."""
    return "auto", "cpu", "gpu"


def models() -> Iterable[str]:
    """Some networks."""
    return MODELS


COMPLETERS = {  # of options of `Config` that have no choices, by key
    "data": one_of(data_sets, "file"),
    "data_dir": one_of(tuple, "dir"),
    "model": one_of(models),
    "budget": one_of(lambda: ("2x", "4x", "8x", "16x")),
    "teacher": one_of(tuple, "file"),
}


def completer_of(option: Any) -> Completer | None:
    """For an option of `Config`: its choices, or as COMPLETERS has it."""
    if option.choices is not None:
        return one_of(lambda: option.choices)
    return COMPLETERS.get(option.key)
