"""Batch normalisation [Ioffe & Szegedy 2015]."""

from __future__ import annotations

from ..backend import array_module
from .primitive import primitive


@primitive(inputs=3)
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
    _check(x, gamma, beta, running_mean, running_var, training)
    axes = tuple(range(x.ndim - 1))
    m = x.size // x.shape[-1]
    if training:
        mean = x.mean(axis=axes)
        xh = x - mean
        var = (xh * xh).mean(axis=axes)
        _update(running_mean, mean, momentum)
        _update(running_var, var * (m / (m - 1)), momentum)
    else:
        mean, var = running_mean.astype(x.dtype, copy=False), running_var
        xh = x - mean
    s = array_module(x).sqrt(var + eps).astype(x.dtype, copy=False)
    xh /= s

    def pullback(gy):
        gbeta, ggamma = gy.sum(axis=axes), (gy * xh).sum(axis=axes)
        if training:
            gx = (gamma / s) * (gy - (gbeta + xh * ggamma) / m)
        else:
            gx = (gamma / s) * gy
        return gx, ggamma, gbeta

    return gamma * xh + beta, pullback


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
