"""A small reverse-mode autograd engine: Tensor, the tape, the primitives, the gradient checker."""

from . import operators as _operators  # noqa: F401
from .anomaly import AnomalyError, detect_anomaly
from .check import GradientError, gradcheck
from .conv import conv2d
from .elementwise import (
    add,
    clip,
    divide,
    exp,
    log,
    maximum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    sqrt,
    subtract,
    where,
)
from .gates import hard_concrete, probability_open
from .linear import matmul
from .norm import batch_norm, batch_norm_relu
from .normal import normal_cdf
from .pool import avg_pool2d, global_avg_pool2d, max_pool2d
from .primitive import PRIMITIVES, Primitive, primitive
from .reduction import max, mean, sum
from .selection import raise_best, scatter_add, take
from .shaping import concatenate, getitem, pad, reshape, split, transpose
from .softmax import cross_entropy, log_softmax, logsumexp, softmax
from .tape import no_grad
from .tensor import Tensor

__all__ = [
    "PRIMITIVES",
    "AnomalyError",
    "GradientError",
    "Primitive",
    "Tensor",
    "add",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_relu",
    "clip",
    "concatenate",
    "conv2d",
    "cross_entropy",
    "detect_anomaly",
    "divide",
    "exp",
    "getitem",
    "global_avg_pool2d",
    "gradcheck",
    "hard_concrete",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "multiply",
    "negative",
    "no_grad",
    "normal_cdf",
    "pad",
    "power",
    "primitive",
    "probability_open",
    "raise_best",
    "relu",
    "reshape",
    "scatter_add",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "subtract",
    "sum",
    "take",
    "transpose",
    "where",
]
