"""The methods of the paper, each a recipe in a file of its own."""

import importlib
import pkgutil

from .recipe import METHODS, Method, Penalty, PenaltyInHalves, Run, method

__all__ = ["METHODS", "Method", "Penalty", "PenaltyInHalves", "Run", "find_methods", "method"]


def find_methods() -> None:
    """Import every file of this package: a method is registered when its file is imported."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


find_methods()
