"""Trained networks put to work: in Python, and in other runtimes."""

from .predictor import Predictor, load

__all__ = ["Predictor", "load", "to_onnx"]

from typing import Any


def __getattr__(name: str) -> Any:
    """`to_onnx`, imported when it is asked for: it needs the `onnx` extra."""
    if name == "to_onnx":
        from .onnx import to_onnx

        return to_onnx
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
