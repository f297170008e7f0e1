"""The methods of the paper, each a recipe in a file of its own."""

from . import bar, scratch  # a method is registered when its file is imported
from .recipe import METHODS, Method, Penalty, Run, method

__all__ = ["METHODS", "Method", "Penalty", "Run", "bar", "method", "scratch"]
