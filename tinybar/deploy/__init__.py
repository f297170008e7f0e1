"""Trained networks for other runtimes."""


def __getattr__(name: str):
    """`to_onnx`, imported when it is asked for: it needs the `onnx` extra."""
    if name == "to_onnx":
        from .onnx import to_onnx

        return to_onnx
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
