"""tinybar: structured pruning of neural networks with budget-aware regularization, from scratch.

The BLAS settings come first: OpenBLAS reads them once, when NumPy is loaded.
"""

from typing import Any

from .runtime import blas as _blas

_blas.prepare()

from importlib import import_module as _import  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from .autograd import GradientError, Tensor, gradcheck, no_grad  # noqa: E402
from .runtime.arrays import use_device  # noqa: E402
from .runtime.blas import PerformanceWarning  # noqa: E402
from .runtime.memory import keep_freed_memory  # noqa: E402
from .runtime.random import seed  # noqa: E402

if TYPE_CHECKING:
    from .deploy import load
    from .train.session import train

_blas.restore_environment()
_blas.warn_if_late()

__version__ = "0.1.0"
__all__ = [
    "GradientError",
    "PerformanceWarning",
    "Tensor",
    "__version__",
    "gradcheck",
    "keep_freed_memory",
    "load",
    "no_grad",
    "seed",
    "train",
    "use_device",
]


def __getattr__(name: str) -> Any:
    """`load` and `train`, imported when asked for: they stand above what is imported here."""
    if name == "load":
        return _import(f"{__name__}.deploy").load
    if name == "train":  # the room, which can be called
        return _import(f"{__name__}.train")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
