"""Batch normalisation [Ioffe & Szegedy 2015]."""

from __future__ import annotations

from ..backend import array_module
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
    one: with xc = x - mean, y = k xc + beta, k = gamma/s. In evaluation xc is not formed at all:
    y = k x + c, c = beta - k mean.
    """
    _check(x, gamma, beta, running_mean, running_var, training)
    form = _of_the_batch if training else _of_the_running_statistics
    return form(x, gamma, beta, running_mean, running_var, momentum, eps, needs)


def _of_the_batch(x, gamma, beta, running_mean, running_var, momentum, eps, needs):
    xp, m = array_module(x), x.size // x.shape[-1]
    mean = sum_per_channel(x) / m
    xc = x - mean
    var = sum_per_channel(xc * xc) / m
    _update(running_mean, mean, momentum)
    _update(running_var, var * (m / (m - 1)), momentum)
    s = xp.sqrt(var + eps)
    k = gamma / s
    y = xc * k
    y += beta

    def pullback(gy):
        gbeta, ggamma = sum_per_channel(gy), sum_per_channel(gy * xc) / s
        if not needs[0]:
            return None, ggamma, gbeta
        gx = xc * (ggamma / s / -m)
        gx -= gbeta / m
        gx += gy
        gx *= k
        return gx, ggamma, gbeta

    return y, pullback


def _of_the_running_statistics(x, gamma, beta, running_mean, running_var, momentum, eps, needs):
    xp = array_module(x)
    mean = running_mean.astype(x.dtype)  # a copy: training may go on before the pullback is called
    s = xp.sqrt(running_var.astype(x.dtype) + eps)
    k = gamma / s
    y = x * k
    y += beta - mean * k

    def pullback(gy):
        gx = gy * k if needs[0] else None
        ggamma = sum_per_channel(gy * ((x - mean) / s)) if needs[1] else None
        gbeta = sum_per_channel(gy) if needs[2] else None
        return gx, ggamma, gbeta

    return y, pullback


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
    if training and x.size // max(1, x.shape[-1]) < 2:
        raise ValueError(f"batch_norm in training needs two values per channel, got x {x.shape}")
