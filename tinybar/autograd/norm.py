"""Batch normalisation [Ioffe & Szegedy 2015], with a gate on every channel.

Two sweeps over all pixels forward, and two back; each second one waits for the sums of the first:

    moments(x) -> mean, var;    normalise_batch -> y, and the running statistics move
    gradient_sums(gy) -> sums;  normalise_pullback -> gx, ggamma, gbeta, ggate
"""

from __future__ import annotations

from math import inf, prod

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime import ranks
from ..runtime.arrays import Array, array_module, zero_where
from .primitive import primitive
from .reduction import sum_per_channel
from .tape import is_recording
from .tensor import Operand


@primitive(inputs=3, named=("gate",), floating=True)
def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    gate: Operand = None,
):
    """y = z (gamma xh + beta),  xh = (x - mean) / s,  s^2 = var + eps, per channel.

    x, y: (..., C), m values per channel; gamma, beta, running_mean, running_var: (C,), and the
    gate z: (C,), or None for 1.
    With gamma' = z gamma and beta' = z beta: gbeta' = sum gy;  ggamma' = sum gy xh;  and
      training:   gx = gamma'/s (gy - (gbeta' + xh ggamma') / m),  mean and var are the batch's own;
      evaluation: gx = gamma'/s gy,                                they are the running ones.
    ggamma = z ggamma';  gbeta = z gbeta';  gz = gamma ggamma' + beta gbeta'.
    In training the two running arrays are updated in place: r <- (1 - momentum) r + momentum * new
    (`momentum` weighs the new value), with the unbiased variance m/(m-1) var, as PyTorch does.
    The batch is normalised by the biased one. Raises ValueError where a shape does not fit, and
    for fewer than two values per channel in training.
    """
    arrays = gamma, beta, gate, running_mean, running_var
    y, *kept = _forward(x, arrays, training, momentum, eps, normalise_by_constants, -inf)
    return y, lambda gy: _pullback(gy, None, x, gamma, beta, gate, *kept)


@primitive(inputs=3, named=("gate",), floating=True)
def batch_norm_relu(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    gate: Operand = None,
):
    """y = max(0, batch_norm(x)).   As batch_norm, for g in place of gy: 0 where y <= 0, else gy.

    The arguments, the running statistics and what is raised are those of batch_norm. With z >= 0
    it is also z relu(gamma xh + beta). Of what is large, x and y are kept for the gradients.
    """
    arrays = gamma, beta, gate, running_mean, running_var
    y, *kept = _forward(x, arrays, training, momentum, eps, normalise_relu, 0.0)
    return y, lambda gy: _pullback(gy, y, x, gamma, beta, gate, *kept)


def _forward(x, arrays, training, momentum, eps, normalise_by_running, least):
    """(y, mean, s, k, m).   m: values per channel that mean and s were computed from, or inf."""
    _check(x, *arrays, training)
    gamma, beta, gate, running_mean, running_var = arrays
    if training:
        m = _values_per_channel(x)
        mean, var, m = moments_of_all_ranks(*moments(x), m)
        y, s, k = normalise_batch(x, mean, var, *arrays, m, momentum, eps, least)
        return y, mean, s, k, m
    # copies: training may continue before the pullback is called
    mean, var = running_mean.astype(x.dtype), running_var.astype(x.dtype)
    s, k, b = _affine(var, gamma, beta, gate, eps)
    return normalise_by_running(x, mean, k, b), mean, s, k, inf


def _pullback(gy, y, x, gamma, beta, gate, mean, s, k, m):
    """The gradients of x, gamma, beta and the gate.   y: what a ReLU gave, None without."""
    sums = gradient_sums(gy, y, x, mean)
    if ranks.size() == 1 or m == inf:
        return normalise_pullback(gy, y, x, sums, mean, s, k, gamma, beta, gate, m)
    everyone = sums_of_all_ranks(sums)
    gx, *others = normalise_pullback(gy, y, x, everyone, mean, s, k, gamma, beta, gate, m)
    # Gradients of parameters will be added over the ranks: each gives its share of what it has.
    return gx, *(None if g is None else g / ranks.size() for g in others)


def _affine(var, gamma, beta, gate, eps):
    """(s, k, b):  s = sqrt(var + eps);  k = gamma'/s;  b = beta'."""
    s = array_module(var).sqrt(var + eps)
    if gate is not None:
        gamma, beta = gamma * gate, beta * gate
    return s, gamma / s, beta


# --- on arrays. x, y, gy, gx: (..., C), all others: (C,) ------------------------------------------


@accelerated
def moments(x):
    """(mean, biased variance) per channel."""
    m = _values_per_channel(x)
    mean = sum_per_channel(x) / m
    xc = x - mean
    return mean, sum_per_channel(xc * xc) / m


@accelerated(changes=(6, 7))
def normalise_batch(
    x, mean, var, gamma, beta, gate, running_mean, running_var, m, momentum, eps, least
):
    """(y, s, k), of m values per channel; the running statistics move.

    least: 0 where a ReLU follows, else -inf.
    """
    _move(running_mean, mean, momentum)
    _move(running_var, var * (m / (m - 1)), momentum)
    s, k, b = _affine(var, gamma, beta, gate, eps)
    return (normalise if least else normalise_relu)(x, mean, k, b), s, k


def _move(running, new, momentum: float) -> None:
    running *= 1 - momentum
    running += momentum * new


@accelerated
def normalise(x, mean, k, b):
    """y = k (x - mean) + b = gamma' xh + beta'."""
    return k * (x - mean) + b


@accelerated
def normalise_by_constants(x, mean, k, b):
    """The same, for a mean and a k that are not made of x: its kernel may take them apart."""
    return normalise(x, mean, k, b)


@accelerated
def normalise_relu(x, mean, k, b):
    """y = max(0, normalise(x))."""
    return array_module(x).maximum(normalise(x, mean, k, b), 0)


@accelerated
def gradient_sums(gy, y, x, mean):
    """(sum g, sum g (x - mean)) per channel: (2, C)."""
    g = _behind_relu(gy, y)
    return array_module(gy).stack([sum_per_channel(g), sum_per_channel(g * (x - mean))])


@accelerated
def normalise_pullback(gy, y, x, sums, mean, s, k, gamma, beta, gate, m):
    """(gx, ggamma, gbeta, ggate or None).   sums: (2, C), gbeta' = sum g and s ggamma'.

    gx = k (g - shift - slope (x - mean)) = gamma'/s (g - (gbeta' + xh ggamma') / m).
    m: values per channel that mean and s were computed from; inf if they are constants.
    """
    gbeta, ggamma = sums[0], sums[1] / s
    shift, slope = gbeta / m, ggamma / s / m
    gx = subtract_line(gy, y, x, mean, k, shift, slope)
    if gate is None:
        return gx, ggamma, gbeta, None
    return gx, ggamma * gate, gbeta * gate, ggamma * gamma + gbeta * beta


@accelerated
def subtract_line(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean))."""
    return k * (_behind_relu(gy, y) - shift - slope * (x - mean))


def _behind_relu(gy, y):
    """g: 0 where y <= 0, else gy.   y: what the ReLU gave; without one None, and g = gy."""
    return gy if y is None else zero_where(y <= 0, gy)


# --- where ranks share out the batch --------------------------------------------------------------


def moments_of_all_ranks(mean: Array, var: Array, m: int) -> tuple[Array, Array, int]:
    """(mean, var, m) of the whole batch, from those of this rank's part.

    Means of x and x^2 are joined in float64: what var = E x^2 - mean^2 loses there is less than
    what the rounding of a float32 x has lost. Where nothing is recorded, as when statistics are
    computed anew, every rank has the same batch, and it is whole.
    """
    if ranks.size() == 1 or not is_recording():
        return mean, var, m
    xp, wide, m_all = array_module(mean), mean.astype(np.float64), ranks.of_all(m)
    joined = xp.concatenate([wide, wide * wide + var]) * (m / m_all)
    ranks.add(joined)
    wide, squares = joined.reshape(2, -1)
    var = xp.maximum(squares - wide * wide, 0)
    return wide.astype(mean.dtype), var.astype(mean.dtype), m_all


def sums_of_all_ranks(sums: Array) -> Array:
    """The same sums over the whole batch, added in float64."""
    everyone = sums.astype(np.float64)
    ranks.add(everyone)
    return everyone.astype(sums.dtype)


# --- what does not fit ----------------------------------------------------------------------------


def _values_per_channel(x) -> int:
    """m: the product of all axes of x but the last. There may be no channel."""
    return prod(x.shape[:-1])


def _check(x, gamma, beta, gate, running_mean, running_var, training) -> None:
    channels = x.shape[-1:]
    arrays = {"gamma": gamma, "beta": beta, "gate": gate}
    if gate is None:
        del arrays["gate"]
    arrays |= {"running_mean": running_mean, "running_var": running_var}
    for name, array in arrays.items():
        if getattr(array, "shape", None) != channels or array.dtype.kind != "f":
            raise ValueError(
                f"batch_norm: {name} has shape {np.shape(array)}, x {x.shape} needs {channels}, "
                "in an array of floating-point numbers"
            )
    if training and _values_per_channel(x) * ranks.size() < 2:
        raise ValueError(f"batch_norm in training needs two values per channel, got x {x.shape}")
