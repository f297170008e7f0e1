"""Kernels made of array operations: factors are joined and results written in place.

They are for NumPy and CuPy, where there is no compiled kernel or it is switched off. Each has the
name and the arguments of its reference, which holds the formula; the tests hold the two together.
Large arrays cost the time, so factors per channel are joined before one is touched, and an array is
written over as soon as nobody needs it.
"""

from __future__ import annotations

import math
from functools import reduce
from math import prod
from operator import add

import numpy as np

from ..runtime import blas, threads
from ..runtime.arrays import Array, array_module, zero_where

__all__ = [
    "adam_step",
    "gradient_sums",
    "normalise",
    "normalise_by_constants",
    "normalise_relu",
    "subtract_line",
    "sum_per_channel",
]

# --- sums (autograd/reduction.py) -----------------------------------------------------------------


def sum_per_channel(a: Array) -> Array:
    """1^T A, a product with a row of ones.

    Over leading axes BLAS is several times faster than NumPy's own sum, and adds in blocks, which
    loses less in float32. On a GPU a product may round its factors (`arrays.use_precision`), a sum
    never does.
    """
    xp, c = array_module(a), a.shape[-1]
    m = prod(a.shape[:-1])
    rows = a.reshape(m, c)
    if xp is not np:
        return rows.sum(axis=0)
    parts = threads.slices(m, int(np.clip(m * c // threads.WORTH_A_CORE, 1, 16)))
    with blas.one_thread():  # its own threads would spin on when the sum is done
        sums = threads.each(lambda part: np.ones(len(rows[part]), a.dtype) @ rows[part], parts)
    return reduce(add, sums)


# --- batch norm (autograd/norm.py) ----------------------------------------------------------------


def normalise(x: Array, mean: Array, k: Array, b: Array) -> Array:
    """k (x - mean) + b."""
    y = x - mean
    y *= k
    y += b
    return y


def normalise_by_constants(x: Array, mean: Array, k: Array, b: Array) -> Array:
    """k x + (b - k mean): one pass less. Digits are lost where mean is large beside s."""
    y = x * k
    y += b - mean * k
    return y


def normalise_relu(x: Array, mean: Array, k: Array, b: Array) -> Array:
    """max(0, k (x - mean) + b)."""
    y = normalise(x, mean, k, b)
    return array_module(x).maximum(y, 0, out=y)


def gradient_sums(gy: Array, y: Array | None, x: Array, mean: Array) -> Array:
    """(sum g, sum g (x - mean)), each a product with a row of ones."""
    g, sums = _behind_relu(gy, y), array_module(gy).empty((2, gy.shape[-1]), gy.dtype)
    sums[0] = sum_per_channel(g)
    centred = x - mean
    centred *= g
    sums[1] = sum_per_channel(centred)
    return sums


def subtract_line(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean))."""
    gx = x - mean
    gx *= -slope
    gx -= shift
    gx += _behind_relu(gy, y)
    gx *= k
    return gx


def _behind_relu(gy, y):
    return gy if y is None else zero_where(y <= 0, gy)


# --- Adam (nn/optim.py) ---------------------------------------------------------------------------


def adam_step(ws, grads, ms, vs, ts, lr, weight_decay, beta1, beta2, eps):
    """Parameter by parameter."""
    for *arrays, t in zip(ws, grads, ms, vs, ts, strict=True):
        _adam_update(*arrays, t, lr, weight_decay, beta1, beta2, eps)


def _adam_update(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """w -= rate m / (scale sqrt(v) + eps): both corrections are numbers, not arrays."""
    rate, scale = adam_corrections(t, lr, beta1, beta2)
    g = grad + weight_decay * w if weight_decay else grad
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    xp = array_module(w)
    step = xp.sqrt(v, out=xp.empty_like(v))  # without out, of a single number no array
    step *= scale
    step += eps
    xp.divide(m, step, out=step)
    step *= rate
    w -= step


def adam_corrections(t: int, lr: float, beta1: float, beta2: float) -> tuple[float, float]:
    """(rate, scale) such that lr m_hat / (sqrt(v_hat) + eps) = rate m / (scale sqrt(v) + eps)."""
    return lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
