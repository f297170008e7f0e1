"""Batch normalisation [Ioffe & Szegedy 2015]."""

from __future__ import annotations

from math import prod

from ..kernels.dispatch import accelerated
from ..runtime.arrays import array_module
from .primitive import primitive
from .reduction import sum_per_channel


@primitive(inputs=3)
def batch_norm(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5,
    *, needs=(True, True, True),
):  # fmt: skip
    """y = gamma xh + beta,  xh = (x - mean) / s,  s^2 = var + eps, per channel.

    x, y: (..., C), m values per channel; gamma, beta, running_mean, running_var: (C,).
    gbeta = sum gy;  ggamma = sum gy xh;  and
      training:   gx = gamma/s (gy - (gbeta + xh ggamma) / m),  mean and var are the batch's own;
      evaluation: gx = gamma/s gy,                              mean and var are the running ones.
    In training the two running arrays are updated in place: r <- (1 - momentum) r + momentum * new
    (`momentum` weighs the new value), with the unbiased variance m/(m-1) var, as PyTorch does.
    The batch is normalised by the biased one. Raises ValueError where a shape does not fit, and
    for fewer than two values per channel in training.

    The arrays of x's size cost the time, so the code joins factors per channel before it touches
    one: y = k (x - mean) + beta with k = gamma/s; in evaluation y = k x + (beta - k mean).
    """
    _check(x, gamma, beta, running_mean, running_var, training)
    form = _of_the_batch if training else _of_the_running_statistics
    return form(x, gamma, beta, running_mean, running_var, momentum, eps, needs)


def _of_the_batch(x, gamma, beta, running_mean, running_var, momentum, eps, needs):
    m = _values_per_channel(x)
    mean, s = _batch_statistics(x, running_mean, running_var, momentum, eps)
    k = gamma / s
    y = x - mean
    y *= k
    y += beta

    def pullback(gy):
        gx = x - mean
        gbeta, ggamma = sum_per_channel(gy), sum_per_channel(gy * gx) / s
        if not needs[0]:
            return None, ggamma, gbeta
        gx *= ggamma / s / -m
        gx -= gbeta / m
        gx += gy
        gx *= k
        return gx, ggamma, gbeta

    return y, pullback


def _of_the_running_statistics(x, gamma, beta, running_mean, running_var, momentum, eps, needs):
    mean, s = _running_statistics(x, running_mean, running_var, eps)
    k = gamma / s
    y = x * k
    y += beta - mean * k

    def pullback(gy):
        gx = gy * k if needs[0] else None
        ggamma = sum_per_channel(gy * ((x - mean) / s)) if needs[1] else None
        gbeta = sum_per_channel(gy) if needs[2] else None
        return gx, ggamma, gbeta

    return y, pullback


@primitive(inputs=3)
def batch_norm_relu(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5,
    *, needs=(True, True, True),
):  # fmt: skip
    """y = max(0, batch_norm(x)).   As batch_norm, for g = gy where y > 0 (else 0) in place of gy.

    The arguments, the running statistics and what is raised are those of batch_norm. In two passes
    over x, forward and backward, and with nothing kept but x and y.
    """
    _check(x, gamma, beta, running_mean, running_var, training)
    m = _values_per_channel(x)
    if training:
        mean, s = _batch_statistics(x, running_mean, running_var, momentum, eps)
    else:
        mean, s = _running_statistics(x, running_mean, running_var, eps)
    k = gamma / s
    y = normalise_relu(x, mean, k, beta)

    def pullback(gy):
        gbeta, products = masked_sums(gy, y, x, mean)
        ggamma = products / s
        if not needs[0]:
            return None, ggamma, gbeta
        share = 1 / m if training else 0.0  # the running statistics do not depend on x
        gx = normalise_relu_adjoint(gy, y, x, mean, k, gbeta * share, ggamma / s * share)
        return gx, ggamma, gbeta

    return y, pullback


@accelerated
def normalise_relu(x, mean, k, beta):
    """max(0, k (x - mean) + beta)."""
    y = x - mean
    y *= k
    y += beta
    return array_module(x).maximum(y, 0, out=y)


@accelerated
def masked_sums(gy, y, x, mean):
    """(sum g, sum g (x - mean)) per channel, with g = gy where y > 0."""
    g = gy * (y > 0)
    return sum_per_channel(g), sum_per_channel(g * (x - mean))


@accelerated
def normalise_relu_adjoint(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean)), with g = gy where y > 0."""
    gx = x - mean
    gx *= -slope
    gx -= shift
    gx += gy * (y > 0)
    gx *= k
    return gx


@accelerated
def moments(x):
    """(mean, biased variance) per channel."""
    m = _values_per_channel(x)
    mean = sum_per_channel(x) / m
    xc = x - mean
    return mean, sum_per_channel(xc * xc) / m


def _batch_statistics(x, running_mean, running_var, momentum: float, eps: float):
    """(mean, s) of the batch, after the running ones have moved towards it."""
    m = _values_per_channel(x)
    mean, var = moments(x)
    _update(running_mean, mean, momentum)
    _update(running_var, var * (m / (m - 1)), momentum)
    return mean, array_module(x).sqrt(var + eps)


def _running_statistics(x, running_mean, running_var, eps: float):
    """(mean, s) that training left, copied: it may go on before the pullback is called."""
    return running_mean.astype(x.dtype), array_module(x).sqrt(running_var.astype(x.dtype) + eps)


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
        if array.shape != channels:
            raise ValueError(
                f"batch_norm: {name} has shape {array.shape}, x {x.shape} needs {channels}"
            )
    if training and _values_per_channel(x) < 2:
        raise ValueError(f"batch_norm in training needs two values per channel, got x {x.shape}")
