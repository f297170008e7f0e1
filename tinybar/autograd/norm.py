"""Batch normalisation [Ioffe & Szegedy 2015]."""

from __future__ import annotations

from math import inf, prod

import numpy as np

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module, zero_where
from .primitive import primitive
from .reduction import sum_per_channel


@primitive(inputs=3, floating=True)
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """y = gamma xh + beta,  xh = (x - mean) / s,  s^2 = var + eps, per channel.

    x, y: (..., C), m values per channel; gamma, beta, running_mean, running_var: (C,).
    gbeta = sum gy;  ggamma = sum gy xh;  and
      training:   gx = gamma/s (gy - (gbeta + xh ggamma) / m),  mean and var are the batch's own;
      evaluation: gx = gamma/s gy,                              mean and var are the running ones.
    In training the two running arrays are updated in place: r <- (1 - momentum) r + momentum * new
    (`momentum` weighs the new value), with the unbiased variance m/(m-1) var, as PyTorch does.
    The batch is normalised by the biased one. Raises ValueError where a shape does not fit, and
    for fewer than two values per channel in training.
    """
    mean, s, m = _statistics(x, gamma, beta, running_mean, running_var, training, momentum, eps)
    if training:
        y = normalise(x, mean, s, gamma, beta)
        return y, lambda gy: normalise_pullback(gy, x, mean, s, gamma, m)
    return normalise_by_constants(x, mean, s, gamma, beta), (
        lambda gy: gamma / s * gy,
        lambda gy: sum_per_channel(gy * ((x - mean) / s)),
        sum_per_channel,
    )


@primitive(inputs=3, floating=True)
def batch_norm_relu(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """y = max(0, batch_norm(x)).   As batch_norm, for g in place of gy: 0 where y <= 0, else gy.

    The arguments, the running statistics and what is raised are those of batch_norm. Nothing but x
    and y is kept for the gradients.
    """
    mean, s, m = _statistics(x, gamma, beta, running_mean, running_var, training, momentum, eps)
    y = normalise_relu(x, mean, s, gamma, beta)
    return y, lambda gy: normalise_relu_pullback(gy, y, x, mean, s, gamma, m)


# --- on arrays ------------------------------------------------------------------------------------


@accelerated
def normalise(x, mean, s, gamma, beta):
    """y = gamma xh + beta,  xh = (x - mean) / s.   x, y: (..., C), all others: (C,)."""
    xh = (x - mean) / s
    return gamma * xh + beta


@accelerated
def normalise_by_constants(x, mean, s, gamma, beta):
    """The same, for a mean and an s that are not those of x: its kernel may take them apart."""
    return normalise(x, mean, s, gamma, beta)


@accelerated
def normalise_pullback(gy, x, mean, s, gamma, m):
    """(gx, ggamma, gbeta).   m: values per channel behind mean and s; inf if they are constants.

    gbeta = sum gy;  ggamma = sum gy xh;  gx = gamma/s (gy - (gbeta + xh ggamma) / m).
    """
    xh = (x - mean) / s
    gbeta, ggamma = sum_per_channel(gy), sum_per_channel(gy * xh)
    gx = gamma / s * (gy - (gbeta + xh * ggamma) / m)
    return gx, ggamma, gbeta


@accelerated
def normalise_relu(x, mean, s, gamma, beta):
    """y = max(0, normalise(x))."""
    return array_module(x).maximum(normalise(x, mean, s, gamma, beta), 0)


@accelerated
def normalise_relu_pullback(gy, y, x, mean, s, gamma, m):
    """(gx, ggamma, gbeta): those of normalise, for g = 0 where y <= 0, else gy."""
    return normalise_pullback(zero_where(y <= 0, gy), x, mean, s, gamma, m)


@accelerated
def moments(x):
    """(mean, biased variance) per channel.   x: (..., C), both: (C,)."""
    m = _values_per_channel(x)
    mean = sum_per_channel(x) / m
    xc = x - mean
    return mean, sum_per_channel(xc * xc) / m


# --- the statistics -------------------------------------------------------------------------------


def _statistics(x, gamma, beta, running_mean, running_var, training, momentum, eps):
    """(mean, s, m) to normalise x by; in training the running statistics move towards them.

    m: values per channel that mean and s were computed from; inf where they do not depend on x.
    """
    _check(x, gamma, beta, running_mean, running_var, training)
    if training:
        m = _values_per_channel(x)
        mean, var = moments(x)
        _update(running_mean, mean, momentum)
        _update(running_var, var * (m / (m - 1)), momentum)
    else:  # copies: training may continue before the pullback is called
        m, mean, var = inf, running_mean.astype(x.dtype), running_var.astype(x.dtype)
    return mean, array_module(x).sqrt(var + eps), m


def _values_per_channel(x) -> int:
    """m: the product of all axes of x but the last. There may be no channel."""
    return prod(x.shape[:-1])


def _update(running, new, momentum: float) -> None:
    running *= 1 - momentum
    running += momentum * new


def _check(x, gamma, beta, running_mean, running_var, training) -> None:
    channels = x.shape[-1:]
    for name, array in (
        ("gamma", gamma),
        ("beta", beta),
        ("running_mean", running_mean),
        ("running_var", running_var),
    ):
        if getattr(array, "shape", None) != channels or array.dtype.kind != "f":
            raise ValueError(
                f"batch_norm: {name} has shape {np.shape(array)}, x {x.shape} needs {channels}, "
                "in an array of floating-point numbers"
            )
    if training and _values_per_channel(x) < 2:
        raise ValueError(f"batch_norm in training needs two values per channel, got x {x.shape}")
