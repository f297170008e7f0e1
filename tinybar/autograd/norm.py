"""Batch normalisation [Ioffe & Szegedy 2015], with a gate on every channel.

Two sweeps over all pixels forward and two back, with what is one number of a channel in between:

    moments(x) -> mean, var       of_batch -> s, k, b                  normalise -> y
    gradient_sums(gy) -> sums     of_sums -> ggamma, ..., shift, slope     normalise_pullback -> gx
"""

from __future__ import annotations

from math import inf, prod

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module, zero_where
from .primitive import primitive
from .reduction import sum_per_channel


@primitive(inputs=3, named=("gate",), floating=True)
def batch_norm(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5, *, gate=None
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
    mean, s, k, b, m = _channels(x, *arrays, training, momentum, eps)
    y = normalise(x, mean, k, b) if training else normalise_by_constants(x, mean, k, b)
    return y, lambda gy: _pullback(gy, None, x, mean, s, k, gamma, beta, gate, m)


@primitive(inputs=3, named=("gate",), floating=True)
def batch_norm_relu(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5, *, gate=None
):
    """y = max(0, batch_norm(x)).   As batch_norm, for g in place of gy: 0 where y <= 0, else gy.

    The arguments, the running statistics and what is raised are those of batch_norm. With z >= 0
    it is also z relu(gamma xh + beta). Of what is large, x and y are kept for the gradients.
    """
    arrays = gamma, beta, gate, running_mean, running_var
    mean, s, k, b, m = _channels(x, *arrays, training, momentum, eps)
    y = normalise_relu(x, mean, k, b)
    return y, lambda gy: _pullback(gy, y, x, mean, s, k, gamma, beta, gate, m)


def _pullback(gy, y, x, mean, s, k, gamma, beta, gate, m):
    """The gradients of x, gamma, beta and the gate.   y: what a ReLU gave, None without."""
    sums = gradient_sums(gy, y, x, mean)
    ggamma, gbeta, ggate, shift, slope = of_sums(sums, s, gamma, beta, gate, m)
    return normalise_pullback(gy, y, x, mean, k, shift, slope), ggamma, gbeta, ggate


# --- all pixels. x, y, gy, gx: (..., C), all others: (C,) -----------------------------------------


@accelerated
def moments(x):
    """(mean, biased variance) per channel."""
    m = _values_per_channel(x)
    mean = sum_per_channel(x) / m
    xc = x - mean
    return mean, sum_per_channel(xc * xc) / m


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
def normalise_pullback(gy, y, x, mean, k, shift, slope):
    """gx = k (g - shift - slope (x - mean)) = gamma'/s (g - (gbeta' + xh ggamma') / m)."""
    return k * (_behind_relu(gy, y) - shift - slope * (x - mean))


def _behind_relu(gy, y):
    """g: 0 where y <= 0, else gy.   y: what the ReLU gave; without one None, and g = gy."""
    return gy if y is None else zero_where(y <= 0, gy)


# --- a number for each channel: (C,) --------------------------------------------------------------


@accelerated(changes=(5, 6))
def of_batch(mean, var, gamma, beta, gate, running_mean, running_var, m, momentum, eps):
    """(s, k, b) of a batch, towards whose mean and unbiased variance the running ones move.

    m: values per channel.
    """
    _move(running_mean, mean, momentum)
    _move(running_var, var * (m / (m - 1)), momentum)
    return _affine(var, gamma, beta, gate, eps)


def _move(running, new, momentum: float) -> None:
    running *= 1 - momentum
    running += momentum * new


def _affine(var, gamma, beta, gate, eps):
    """(s, k, b):  s = sqrt(var + eps);  k = z gamma / s;  b = z beta."""
    s = array_module(var).sqrt(var + eps)
    if gate is not None:
        gamma, beta = gamma * gate, beta * gate
    return s, gamma / s, beta


@accelerated
def of_sums(sums, s, gamma, beta, gate, m):
    """(ggamma, gbeta, ggate or None, shift, slope) of the sums: (2, C).

    m: values per channel that mean and s were computed from; inf if they are constants.
    shift = gbeta' / m;  slope = ggamma' / (s m).
    """
    gbeta, ggamma = sums[0], sums[1] / s
    shift, slope = gbeta / m, ggamma / s / m
    if gate is None:
        return ggamma, gbeta, None, shift, slope
    return ggamma * gate, gbeta * gate, ggamma * gamma + gbeta * beta, shift, slope


# --- the statistics -------------------------------------------------------------------------------


def _channels(x, gamma, beta, gate, running_mean, running_var, training, momentum, eps):
    """(mean, s, k, b, m) to normalise x by; in training the running statistics move.

    m: values per channel that mean and s were computed from; inf where they do not depend on x.
    """
    _check(x, gamma, beta, gate, running_mean, running_var, training)
    if training:
        m = _values_per_channel(x)
        mean, var = moments(x)
        running = running_mean, running_var
        return mean, *of_batch(mean, var, gamma, beta, gate, *running, m, momentum, eps), m
    # copies: training may continue before the pullback is called
    mean, var = running_mean.astype(x.dtype), running_var.astype(x.dtype)
    return mean, *_affine(var, gamma, beta, gate, eps), inf


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
    if training and _values_per_channel(x) < 2:
        raise ValueError(f"batch_norm in training needs two values per channel, got x {x.shape}")
