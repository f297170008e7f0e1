"""Compiled CPU forms (Numba) of the functions that are marked `@accelerated` elsewhere.

Each function here has the name and the arguments of its plain reference, which holds the formula;
the tests hold the two together. float32 only. A function makes the arrays and hands parts of the
rows to the cores (`threads.each`); a kernel works on one part, on one thread. Innermost loops run
over channels, which lie side by side in memory.
"""

from .norm import masked_sums, moments, normalise_relu, normalise_relu_adjoint
from .optim import adam_update
from .selection import add_features, read_features
from .windows import gather_rows, scatter_rows
from .winograd import (
    input_adjoint,
    input_transform,
    output_adjoint,
    output_transform,
    weight_adjoint,
    weight_transform,
)

__all__ = [
    "adam_update",
    "add_features",
    "gather_rows",
    "input_adjoint",
    "input_transform",
    "masked_sums",
    "moments",
    "normalise_relu",
    "normalise_relu_adjoint",
    "output_adjoint",
    "output_transform",
    "read_features",
    "scatter_rows",
    "weight_adjoint",
    "weight_transform",
]
