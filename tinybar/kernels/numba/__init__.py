"""CPU kernels, compiled by Numba, for the functions that are marked `@accelerated` elsewhere.

Each function here has the name and the arguments of its reference, which holds the formula;
the tests hold the two together. float32 only. A function makes the arrays and hands parts of the
rows to the cores (`threads.each`); a kernel works on one part, on one thread. Innermost loops run
over channels, which lie side by side in memory.
"""

from .norm import (
    gradient_sums,
    moments,
    normalise_batch,
    normalise_pullback,
    normalise_relu,
    subtract_line,
)
from .optim import adam_step
from .selection import add_channels, read_channels
from .windows import gather_rows, scatter_rows
from .winograd import (
    input_transform,
    input_transform_pullback,
    output_transform,
    output_transform_pullback,
    weight_transform,
    weight_transform_pullback,
)

__all__ = [
    "adam_step",
    "add_channels",
    "gather_rows",
    "gradient_sums",
    "input_transform",
    "input_transform_pullback",
    "moments",
    "normalise_batch",
    "normalise_pullback",
    "normalise_relu",
    "output_transform",
    "output_transform_pullback",
    "read_channels",
    "scatter_rows",
    "subtract_line",
    "weight_transform",
    "weight_transform_pullback",
]
